//go:build race

package main

// racing says that data races are looked for.
const racing = true
