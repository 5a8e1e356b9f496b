package rules

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// TestLocate writes texts in every style that YAML has, and finds each of their
// characters again.
func TestLocate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z'"\\#:é大>|&{}\[\] \n]{1,60}`).Draw(t, "text")
		style := rapid.SampledFrom([]yaml.Style{0, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle}).Draw(t, "style")
		before := strings.Repeat("# another line\n", rapid.IntRange(0, 3).Draw(t, "before"))
		scalar := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: style}
		key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "when"}
		written, err := yaml.Marshal(&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Content: []*yaml.Node{key, scalar}}}})
		if err != nil {
			t.Skip(err)
		}
		d := parse(file{path: "x.yaml", content: append([]byte(before), written...)}, &notebook{})
		if d == nil || d.root.Content[0].Content[1].Value != text {
			t.Skip("the YAML library does not read what it wrote")
		}
		n := d.root.Content[0].Content[1]
		for i, want := range []rune(text) {
			if blank(want) {
				continue
			}
			line, column := d.locate(n, i)
			shown := []rune(d.lines[line-1])
			if column > len(shown) || shown[column-1] != want && shown[column-1] != '\\' {
				t.Fatalf("character %d (%c) of %q: found at %d:%d of\n%s", i, want, text, line, column, written)
			}
		}
		if line, column := d.locate(n, len([]rune(text))); line < n.Line || column < 1 {
			t.Fatalf("the end of %q: found at %d:%d", text, line, column)
		}
	})
}
