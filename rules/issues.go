package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
)

// issues returns what CEL says against an expression, in our words. Of several
// syntax errors only the first means anything.
func (e *environment) issues(source common.Source, problems *cel.Issues) []issue {
	errs := slices.Clone(problems.Errors())
	slices.SortStableFunc(errs, func(a, b *cel.Error) int {
		return cmp.Or(cmp.Compare(a.Location.Line(), b.Location.Line()), cmp.Compare(a.Location.Column(), b.Location.Column()))
	})
	var found []issue
	for _, err := range errs[:min(len(errs), maxIssues)] {
		offset, ok := source.LocationOffset(err.Location)
		if !ok || offset < 0 {
			offset = 0
		}
		found = append(found, e.reword(err.Message, source.Content(), int(offset)))
		if strings.HasPrefix(err.Message, syntaxPrefix) {
			break
		}
	}
	if len(found) == 0 {
		// Never nothing: an entry without its condition would always apply.
		found = append(found, issue{text: problems.Err().Error()})
	}
	return found
}

const syntaxPrefix = "Syntax error: "

// reword says what CEL means, and what to write instead if that is known.
func (e *environment) reword(message, text string, offset int) issue {
	if rest, ok := strings.CutPrefix(message, syntaxPrefix); ok {
		return issue{offset, "syntax error: " + rewordSyntax(rest)}
	}
	name := quoted(message)
	if variable, _, _ := strings.Cut(name, "."); strings.HasPrefix(message, "undeclared reference to ") && e.absent[variable] != "" {
		return issue{back(text, offset, variable), fmt.Sprintf("undeclared reference to '%s': %s", variable, e.absent[variable])}
	}
	if strings.HasPrefix(message, "undefined field ") {
		message += suggest(name, e.fields)
	}
	return issue{offset, message}
}

// back returns where the word stands last in text before offset: CEL points at
// the end of a qualified name.
func back(text string, offset int, word string) int {
	before := []rune(text)
	before = before[:min(len(before), offset+utf8.RuneCountInString(word))]
	i := strings.LastIndex(string(before), word)
	if i < 0 {
		return offset
	}
	return utf8.RuneCountInString(string(before)[:i])
}

func rewordSyntax(text string) string {
	text, _, _ = strings.Cut(text, " expecting ")
	text = strings.ReplaceAll(text, "mismatched input '<EOF>'", "the expression ends too early")
	switch strings.Trim(quoted(text), " ") {
	case "and":
		return text + " (did you mean '&&'?)"
	case "or":
		return text + " (did you mean '||'?)"
	case "not":
		return text + " (did you mean '!'?)"
	case "=":
		return text + " (did you mean '=='?)"
	}
	return text
}

// quoted returns what stands between the first two single quotes.
func quoted(text string) string {
	_, rest, _ := strings.Cut(text, "'")
	inside, _, ok := strings.Cut(rest, "'")
	if !ok {
		return ""
	}
	return inside
}
