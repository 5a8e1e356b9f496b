package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Everything that an agent, or anybody else, wrote reaches a terminal through
// this file. What a terminal would not show as itself is made visible: control
// characters and so every terminal sequence, marks that change the direction of
// text, characters without width or ink, and what is not UTF-8.

// visible returns s with every character that does not show as itself written as
// \n, \t, \x1b or \u{202e}. Nothing is left out.
func visible(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for rest := s; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, rest[0])
		case r == '\\':
			b.WriteString(`\\`)
		case shows(r):
			b.WriteRune(r)
		default:
			b.WriteString(escape(r))
		}
		rest = rest[size:]
	}
	return b.String()
}

// plain reports whether s shows as itself. A backslash does, as long as nothing
// else in s needs one.
func plain(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !shows(r) {
			return false
		}
	}
	return true
}

func escape(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\t':
		return `\t`
	case '\r':
		return `\r`
	}
	if r < 0x80 {
		return fmt.Sprintf(`\x%02x`, r)
	}
	return fmt.Sprintf(`\u{%04x}`, r)
}

// shows reports whether a terminal shows r as itself: it is printable, has ink,
// and does nothing to what stands beside it.
func shows(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && !blank(r)
}

// blank are printable characters without ink.
func blank(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return false
}

// visibleJSON returns JSON text with every character inside its strings that does
// not show as itself written as \uXXXX: the same JSON, safe to look at. A tab or a
// carriage return can only stand between what it says.
func visibleJSON(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for rest := b; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == '\t', r == '\r':
			out = append(out, ' ')
		case r == '\n' || shows(r) && !(r == utf8.RuneError && size == 1):
			out = append(out, rest[:size]...)
		default:
			for _, unit := range utf16Units(r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		rest = rest[size:]
	}
	return out
}

// visibleYAML does the same for YAML, whose escapes are of another form.
func visibleYAML(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for _, r := range string(b) {
		switch {
		case r == '\n' || shows(r):
			out = utf8.AppendRune(out, r)
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\U%08x`, r)
		}
	}
	return out
}

func utf16Units(r rune) []uint16 {
	if r < 0x10000 {
		return []uint16{uint16(r)}
	}
	r -= 0x10000
	return []uint16{uint16(0xd800 + r>>10), uint16(0xdc00 + r&0x3ff)}
}

// say writes a line to a person. Arguments may be anything that anybody wrote.
func say(w io.Writer, format string, args ...any) {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = visible(a)
		case fmt.Stringer:
			args[i] = visible(a.String())
		case error:
			args[i] = visible(a.Error())
		}
	}
	fmt.Fprintf(w, format+"\n", args...)
}
