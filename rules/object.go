package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// object reads a mapping key by key. What it cannot read it notes as a mistake,
// and then returns the zero value.
type object struct {
	*document
	node  *yaml.Node
	about string // what a mistake in it is about
}

// reserved are the keys that have no meaning yet and will have one.
func reserved(key string) bool { return key == "triggers" }

// object returns n as an object that knows these keys, or false if it is none.
// Its mistakes are about the given thing, and its id if it has one.
func (d *document) object(n *yaml.Node, about string, known ...string) (object, bool) {
	o := object{document: d, node: n, about: about}
	if n.Kind != yaml.MappingNode {
		o.mistake(n, "want a mapping, this is %s", describe(n))
		return o, false
	}
	if id := o.child("id"); id != nil && isText(id) && slices.Contains(known, "id") {
		o.about = about + " " + id.Value
	}
	for i := 0; i < len(n.Content); i += 2 {
		switch key := n.Content[i]; {
		case slices.Contains(known, key.Value):
		case reserved(key.Value):
			o.mistake(key, "'%s' is reserved, not supported yet", key.Value)
		default:
			o.mistake(key, "unknown key '%s'%s", key.Value, suggest(key.Value, known))
		}
	}
	return o, true
}

func (o object) mistake(at *yaml.Node, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if o.about != "" {
		text = o.about + ": " + text
	}
	o.mistakeAt(at.Line, at.Column, text)
}

// child returns the value of a key, or nil.
func (o object) child(key string) *yaml.Node {
	for i := 0; i < len(o.node.Content); i += 2 {
		if o.node.Content[i].Value == key {
			return o.node.Content[i+1]
		}
	}
	return nil
}

// must notes a mistake for each of the keys that is missing.
func (o object) must(keys ...string) {
	for _, key := range keys {
		if o.child(key) == nil {
			o.mistake(o.node, "'%s' is missing", key)
		}
	}
}

// text returns a text of at most so many bytes in JSON.
func (o object) text(key string, most int) string {
	n := o.child(key)
	switch {
	case n == nil:
		return ""
	case !isText(n):
		o.mistake(n, "%s: want text, this is %s%s", key, describe(n), quotesHint(n))
		return ""
	}
	text := strings.TrimSpace(n.Value)
	if size := encodedSize(text); size > most {
		o.mistake(n, "%s: %d bytes as JSON, at most %d", key, size, most)
	}
	return text
}

// quotesHint says how what only looks like a number becomes text.
func quotesHint(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return ": put it in quotes"
}

// word returns the one of the words that the key has, or "".
func (o object) word(key string, words ...string) string {
	n := o.child(key)
	if n == nil {
		return ""
	}
	if !isText(n) || !slices.Contains(words, n.Value) {
		o.mistake(n, "%s: want %s%s", key, strings.Join(words, " or "), suggest(n.Value, words))
		return ""
	}
	return n.Value
}

func (o object) boolean(key string) bool {
	n := o.child(key)
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		o.mistake(n, "%s: want true or false, this is %s", key, describe(n))
	}
	return strings.EqualFold(n.Value, "true")
}

// integer returns a whole number from least to most, or otherwise.
func (o object) integer(key string, least, most, otherwise int) int {
	n := o.child(key)
	if n == nil {
		return otherwise
	}
	value, err := strconv.Atoi(n.Value)
	if n.Tag != "!!int" || err != nil || value < least || value > most {
		o.mistake(n, "%s: want a whole number from %d to %d", key, least, most)
		return otherwise
	}
	return value
}

// duration returns a time span of whole seconds, or otherwise.
func (o object) duration(key string, most, otherwise time.Duration) time.Duration {
	n := o.child(key)
	if n == nil {
		return otherwise
	}
	d, err := time.ParseDuration(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || err != nil:
		o.mistake(n, "%s: want a time span such as 90s, 15m or 4h%s", key, spanHint(n))
	case d < time.Second || d > most || d%time.Second != 0:
		o.mistake(n, "%s: want whole seconds, at least 1s and at most %s", key, span(most))
	default:
		return d
	}
	return otherwise
}

// spanHint guesses what was meant by a time span without its unit, or in days.
func spanHint(n *yaml.Node) string {
	if seconds, err := strconv.Atoi(n.Value); err == nil {
		return fmt.Sprintf(" (did you mean '%ds'?)", seconds)
	}
	if number, ok := strings.CutSuffix(n.Value, "d"); ok {
		if days, err := strconv.Atoi(number); err == nil {
			return fmt.Sprintf(" (did you mean '%dh'?)", 24*days)
		}
	}
	return ""
}

// span prints a time span without the zeros of time.Duration.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// name returns the name of a queue, or otherwise.
func (o object) name(key string, otherwise schemas.Name) schemas.Name {
	n := o.child(key)
	if n == nil {
		return otherwise
	}
	name, err := schemas.ParseName(n.Value)
	if !isText(n) || err != nil {
		o.mistake(n, "%s: want a name, 1 to 32 of a-z, 0-9 and -", key)
		return otherwise
	}
	return name
}

// texts returns the nodes of a list of texts.
func (o object) texts(key string, most int) []*yaml.Node {
	n := o.child(key)
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		o.mistake(n, "%s: want a list, this is %s", key, describe(n))
		return nil
	case len(n.Content) > most:
		o.mistake(n, "%s: %d of them, at most %d", key, len(n.Content), most)
		return nil
	}
	var texts []*yaml.Node
	for _, item := range n.Content {
		if isText(item) {
			texts = append(texts, item)
		} else {
			o.mistake(item, "%s: want text, this is %s", key, describe(item))
		}
	}
	return texts
}

// items returns the nodes of a list of objects, of a key that may be missing.
func (o object) items(key string) []*yaml.Node {
	n := o.child(key)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		o.mistake(n, "%s: want a list, this is %s", key, describe(n))
		return nil
	}
	return n.Content
}

// version refuses every format but the first.
func (o object) version() {
	n := o.child("version")
	switch {
	case n == nil:
		o.mistake(o.node, "'version' is missing: write version: 1")
	case n.Tag != "!!int" || n.Value != "1":
		o.mistake(n, "version '%s': this holdpoint knows version 1", n.Value)
	}
}
