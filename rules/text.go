package rules

import (
	"strings"
	"unicode"

	"github.com/holdpoint/holdpoint/schemas"
)

// oneLine returns s without what would break a line or hide on a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		default:
			return '\uFFFD'
		}
	}, s)
}

// encodedSize is how many bytes a text takes in a record.
func encodedSize(text string) int {
	encoded, err := schemas.Marshal(text)
	if err != nil {
		return len(text) * 6
	}
	return len(encoded) - len(`""`)
}

// clip returns at most so many bytes of s, as it stands and as JSON, in whole
// characters.
func clip(s string, most int) string {
	if len(s) <= most && encodedSize(s) <= most {
		return s
	}
	const dots = "…"
	for end := min(len(s), most-len(dots)); end > 0; end -= 4 {
		if cut := strings.ToValidUTF8(s[:end], "") + dots; encodedSize(cut) <= most {
			return cut
		}
	}
	return dots
}
