package rules

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/schemas"
)

// sheet is a CSV file. Its first line names the columns. With one column it is a
// list; with more it is a table by the first, whose values must differ.
type sheet struct {
	f       file
	notes   *notebook
	columns []string
	rows    [][]string
	lines   []int // of the rows in the file
}

// readCSV returns a CSV file as JSON, or nil with a note. Cells of a column are
// numbers or true and false if all of them are, unless the shape says otherwise.
// An empty cell is no field.
func readCSV(f file, sh *shape, notes *notebook) []byte {
	s := &sheet{f: f, notes: notes}
	if !s.read() || !s.checkColumns() {
		return nil
	}
	if len(s.columns) == 1 {
		return s.list(sh)
	}
	return s.table(sh)
}

func (s *sheet) read() bool {
	r := csv.NewReader(bytes.NewReader(s.f.content))
	for {
		row, err := r.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF) && s.columns == nil:
			s.notes.file(s.f.path, "empty")
			return false
		case errors.Is(err, io.EOF):
			return true
		case errors.As(err, &wrong):
			s.mistake(wrong.Line, wrong.Column, "not CSV: "+wrong.Err.Error())
			return false
		case err != nil:
			s.notes.file(s.f.path, "not CSV: %v", err)
			return false
		}
		line, _ := r.FieldPos(0)
		if s.columns == nil {
			s.columns = row
			continue
		}
		s.rows, s.lines = append(s.rows, row), append(s.lines, line)
	}
}

func (s *sheet) mistake(line, column int, text string) {
	d := &document{path: s.f.path, lines: strings.Split(string(s.f.content), "\n"), notes: s.notes}
	d.mistakeAt(line, column, text)
}

func (s *sheet) checkColumns() bool {
	seen := map[string]bool{}
	for _, name := range s.columns {
		if name == "" || seen[name] {
			s.mistake(1, 1, "the first line names each column, and no two alike: '"+name+"' does not")
			return false
		}
		seen[name] = true
	}
	return true
}

// list returns the only column as a list.
func (s *sheet) list(sh *shape) []byte {
	column := s.column(0, sh.item(0))
	b := []byte{'['}
	for i := range s.rows {
		b = comma(b, i)
		b = append(b, column(i)...)
	}
	return append(b, ']')
}

// table returns an object that has a row for each value of the first column.
func (s *sheet) table(sh *shape) []byte {
	columns := make([]func(int) []byte, len(s.columns))
	for i, name := range s.columns {
		columns[i] = s.column(i, sh.field("").field(name))
	}
	first := map[string]int{}
	b := []byte{'{'}
	for i, row := range s.rows {
		key := row[0]
		if line, twice := first[key]; twice || key == "" {
			s.mistake(s.lines[i], 1, s.keyMistake(key, line))
			return nil
		}
		first[key] = s.lines[i]
		b = comma(b, i)
		b = append(appendText(b, key), ':')
		b = s.record(b, i, columns)
	}
	return append(b, '}')
}

func (s *sheet) keyMistake(key string, line int) string {
	if key == "" {
		return "the first column, by which rows are looked up, is empty"
	}
	return "'" + clip(key, 40) + "' is in the first column of line " + strconv.Itoa(line) + " too: rows are looked up by it"
}

func (s *sheet) record(b []byte, row int, columns []func(int) []byte) []byte {
	b = append(b, '{')
	fields := 0
	for i, name := range s.columns {
		if s.rows[row][i] == "" {
			continue
		}
		b = comma(b, fields)
		b = append(appendText(b, name), ':')
		b = append(b, columns[i](row)...)
		fields++
	}
	return append(b, '}')
}

// column returns what gives the cells of a column as JSON.
func (s *sheet) column(i int, sh *shape) func(row int) []byte {
	quoted := func(row int) []byte { return appendText(nil, s.rows[row][i]) }
	plain := func(row int) []byte { return []byte(s.rows[row][i]) }
	switch {
	case sh != nil && sh.form == textForm:
		return quoted
	case sh != nil && sh.form != unknownForm:
		return func(row int) []byte {
			if isNumberText(s.rows[row][i]) || isTruthText(s.rows[row][i]) {
				return plain(row)
			}
			return quoted(row) // and its schema says that this is wrong
		}
	case s.all(i, isNumberText), s.all(i, isTruthText):
		return plain
	}
	return quoted
}

// all reports whether the cells of a column that are not empty are all so, and
// there are some.
func (s *sheet) all(i int, is func(string) bool) bool {
	found := false
	for _, row := range s.rows {
		if row[i] != "" && !is(row[i]) {
			return false
		}
		found = found || row[i] != ""
	}
	return found
}

// isNumberText reports whether a text is a number that everyone reads alike, as
// in JSON: 007 is none.
func isNumberText(text string) bool {
	v := jsontext.Value(text)
	return v.IsValid() && v.Kind() == '0' && text == strings.TrimSpace(text) && schemas.Unmarshal(v, &v) == nil
}

func isTruthText(text string) bool { return text == "true" || text == "false" }
