package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"

	"github.com/holdpoint/holdpoint/schemas"
)

// printer prints for a person: the answer to standard output, and what is said about it
// to standard error.
type printer struct {
	io.Writer
	aside io.Writer
}

// output writes the answer of a command to standard output: as JSON or YAML if that was
// asked for, else with text.
func output(cmd *cobra.Command, answer any, text func(printer) error) error {
	format, err := cmd.Flags().GetString("output")
	if err != nil {
		return err
	}
	switch format {
	case "json":
		return writeJSON(cmd.OutOrStdout(), answer)
	case "yaml":
		return writeYAML(cmd.OutOrStdout(), answer)
	case "table":
		return text(printer{cmd.OutOrStdout(), cmd.ErrOrStderr()})
	default:
		return usage("--output %q: want table, json or yaml", format)
	}
}

// onTerminal reports whether what a command reads from or writes to is a terminal.
func onTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// writeJSON writes answer as indented JSON.
func writeJSON(w io.Writer, answer any) error {
	return writeJSONWith(w, answer, jsontext.WithIndent("  "))
}

// writeJSONLine writes answer as one line of JSON.
func writeJSONLine(w io.Writer, answer any) error { return writeJSONWith(w, answer) }

// asData reports whether something else than text was asked for.
func asData(cmd *cobra.Command) bool { return cmd.Flag("output").Value.String() != "table" }

// writeLine writes one of many answers as a line of JSON, or as a document of YAML.
func writeLine(cmd *cobra.Command, answer any) error {
	if cmd.Flag("output").Value.String() == "json" {
		return writeJSONLine(cmd.OutOrStdout(), answer)
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), "---\n"); err != nil {
		return err
	}
	return writeYAML(cmd.OutOrStdout(), answer)
}

func writeJSONWith(w io.Writer, answer any, options ...jsontext.Options) error {
	b, err := schemas.Marshal(answer)
	if err != nil {
		return fmt.Errorf("writing JSON: %w", err)
	}
	v := jsontext.Value(b)
	if len(options) > 0 {
		if err := v.Indent(options...); err != nil {
			return fmt.Errorf("writing JSON: %w", err)
		}
	}
	_, err = fmt.Fprintf(w, "%s\n", visibleJSON(v))
	return err
}

// writeYAML writes what writeJSON writes, as YAML.
func writeYAML(w io.Writer, answer any) error {
	b, err := schemas.Marshal(answer)
	if err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	unfold(&doc)
	text, err := yaml.Marshal(&doc)
	if err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	_, err = w.Write(visibleYAML(text))
	return err
}

// unfold gives a document that was JSON the look of YAML. Text that does not show
// as itself is quoted, so that it can be written with escapes.
func unfold(n *yaml.Node) {
	switch {
	case n.Kind != yaml.ScalarNode && len(n.Content) > 0:
		n.Style = 0
	case n.Kind == yaml.ScalarNode && plain(n.Value):
		n.Style = 0
	}
	for _, child := range n.Content {
		unfold(child)
	}
}

// table writes rows under a heading, in columns. Cells may be anything that
// anybody wrote.
func table(w io.Writer, heading string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(heading, " ", "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = visible(cell)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// list writes rows as table does. If there are none, it tells whoever asked, and the
// answer is empty: a heading alone looks like a row that got lost.
func (p printer) list(heading string, rows [][]string, none string) error {
	if len(rows) == 0 {
		p.tell("%s", none)
		return nil
	}
	return table(p, heading, rows)
}

// tell says something about the answer.
func (p printer) tell(format string, args ...any) { say(p.aside, "holdpoint: "+format, args...) }
