package stages

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/holdpoint/holdpoint/schemas"
)

// Difference is where what was decided again differs first from what is on record:
// a place in its body (a JSON Pointer), the name of a header, or nothing for the
// whole of it.
type Difference struct {
	Path     string `json:"path,omitzero"`
	Recorded string `json:"recorded"`
	Decided  string `json:"decided"`
}

// byRules reports whether the two differ in what rules say, and not in the sum of
// risks, which no rule of execute has a part in.
func (d Difference) byRules() bool {
	return d.Path == "" || strings.HasPrefix(d.Path, "/opinion/") && d.Path != "/opinion/risk"
}

// absent stands for what one of two has and the other has not.
const absent = "nothing"

// differ returns where a record differs from what was decided again, or nil if they
// are the same in every byte that the hash of a record covers.
func differ(r schemas.Record, d schemas.Draft) *Difference {
	again := schemas.Record{Subject: d.Subject, Header: d.Header, Body: d.Body}
	if again.Hash() == r.Hash() {
		return nil
	}
	if again.Subject != r.Subject {
		return &Difference{Recorded: r.Subject, Decided: again.Subject}
	}
	if found := differIn("", r.Body, again.Body); found != nil {
		return found
	}
	for _, name := range slices.Sorted(maps.Keys(again.Header)) {
		if !slices.Equal(again.Header[name], r.Header[name]) {
			return &Difference{Path: name, Recorded: first(r.Header[name]), Decided: first(again.Header[name])}
		}
	}
	return &Difference{Recorded: "with headers that no stage writes", Decided: "without"}
}

func first(values []string) string {
	if len(values) == 0 {
		return absent
	}
	return values[0]
}

// differIn returns the first difference between two JSON values, in the order of
// their names.
func differIn(path jsontext.Pointer, a, b jsontext.Value) *Difference {
	switch {
	case bytes.Equal(a, b):
		return nil
	case a.Kind() == '{' && b.Kind() == '{':
		var x, y map[string]jsontext.Value
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			break
		}
		all := maps.Clone(x)
		maps.Copy(all, y)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if found := differAt(path.AppendToken(name), x[name], y[name]); found != nil {
				return found
			}
		}
	case a.Kind() == '[' && b.Kind() == '[':
		var x, y []jsontext.Value
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			break
		}
		x, y = slices.Concat(x, make([]jsontext.Value, max(0, len(y)-len(x)))), slices.Concat(y, make([]jsontext.Value, max(0, len(x)-len(y))))
		for i := range x {
			if found := differAt(path.AppendToken(strconv.Itoa(i)), x[i], y[i]); found != nil {
				return found
			}
		}
	}
	return &Difference{Path: string(path), Recorded: excerpt(a), Decided: excerpt(b)}
}

func differAt(path jsontext.Pointer, a, b jsontext.Value) *Difference {
	if len(a) == 0 || len(b) == 0 {
		return &Difference{Path: string(path), Recorded: excerpt(a), Decided: excerpt(b)}
	}
	return differIn(path, a, b)
}

// excerpt is the beginning of a JSON value.
func excerpt(v jsontext.Value) string {
	const most = 200
	switch {
	case len(v) == 0:
		return absent
	case len(v) > most:
		return string(bytes.ToValidUTF8(v[:most], nil)) + "…"
	}
	return string(v)
}
