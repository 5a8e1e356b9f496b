// Command performer is the bank and the workspace of the tests. It writes every
// task that it is given as one line into the file PERFORMED, so that a test can
// tell what was done from what was reported, and fails at payments to accounts
// that cannot be.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

type task struct {
	Action string `json:"action"`
	Params struct {
		Recipient string `json:"recipient"`
	} `json:"params"`
}

func main() {
	if err := perform(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func perform() error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if err := note(input); err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(input, &t); err != nil {
		return err
	}
	if t.Action == "banking.send_money" && !strings.ContainsAny(t.Params.Recipient, "0123456789") {
		return fmt.Errorf("%s is no account", t.Params.Recipient)
	}
	_, err = fmt.Println(`{"performed":true}`)
	return err
}

// note appends one line in one write, so that lines of processes do not mix.
func note(input []byte) error {
	f, err := os.OpenFile(os.Getenv("PERFORMED"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(bytes.TrimSpace(input), '\n'))
	return err
}
