package replay_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestBadLines: what is wrong with a line is said in one line that names the field.
func TestBadLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"params":{}}`:                           "/action: missing",
		`{"action":"refund"}`:                     `/action: action "refund": want <system>.<operation>`,
		`{"action":17}`:                           "/action:",
		`{"action":"a.b","agent":"Support Bot"}`:  `/agent: `,
		`{"action":"a.b","seq":"one"}`:            "/seq:",
		`{"action":"a.b","observed":["x"]}`:       "/observed/0:",
		`{"action":"a.b","time":"yesterday"}`:     "/time:",
		`{"action":"a.b","session":{}}`:           "/session:",
		`{"action":"a.b","params":{"x":1,"x":2}}`: "not JSON",
		`{"action":"a.b"} {"action":"a.b"}`:       "not JSON",
		`{"action":"a.b"`:                         "not JSON",
		`[]`:                                      "want a JSON object",
		`"x"`:                                     "want a JSON object",
		`2026-05-04 12:00:00 INFO called a.b`:     "want a JSON object",
		"{\"action\":\"a.b\",\"goal\":\"\xff\"}":  "not JSON",
		`{"action":"a.b","note":"` + strings.Repeat("x", replay.MaxLine): "longer than",
	} {
		l, err := replay.NewLines("log", strings.NewReader(line)).Next()
		if err != nil {
			t.Errorf("%.60s: %v", line, err)
		}
		_, err = replay.ParseCall(l, "")
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: got %v, want %s", line, err, want)
		}
	}
}

// TestLines: lines are numbered as an editor does, whatever ends them and however
// long one is.
func TestLines(t *testing.T) {
	t.Parallel()
	log := "one\r\n\n  \ntwo\n" + strings.Repeat("x", replay.MaxLine+1) + "\nthree"
	lines := replay.NewLines("log", strings.NewReader(log))
	var got []string
	for {
		l, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text := string(l.Text)
		if l.Err != nil {
			text = "too long"
		}
		got = append(got, l.String()+" "+text)
	}
	if diff := cmp.Diff([]string{"log:1 one", "log:4 two", "log:5 too long", "log:6 three"}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if lines.Read() != int64(len(log)) {
		t.Errorf("bytes read: got %d, want %d", lines.Read(), len(log))
	}
}

// TestSessionName: a name that a gate takes is kept, any other becomes one that it
// takes, and different ones stay different.
func TestSessionName(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range []string{
		"", "ticket-17", strings.Repeat("x", schemas.MaxSession), strings.Repeat("x", schemas.MaxSession+1), strings.Repeat("x", 5000),
		"a/b", "a:b", "a+b", "a b", "ünï", "\x00", strings.Repeat("ü", 200),
	} {
		got := replay.SessionName(name)
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q are both %q", name, other, got)
		}
		seen[got] = name
		r := schemas.Record{Subject: "intents.bot.a.b", Body: []byte(`{"params":{},"session":"` + got + `"}`)}
		if in, err := schemas.ReadIntent("gate", r); err != nil || in.Session != got {
			t.Errorf("%q: a gate reads %q, %v", name, in.Session, err)
		}
	}
	for _, name := range []string{"", "ticket-17", strings.Repeat("x", schemas.MaxSession)} {
		if got := replay.SessionName(name); got != name {
			t.Errorf("%q: got %q, want the same", name, got)
		}
	}
}

// FuzzParseCall: whatever a line is, it is a call that can be proposed to a gate, or
// says why not.
func FuzzParseCall(f *testing.F) {
	f.Add(`{"action":"a.b","params":{"x":[1,2.5,"y"]},"session":"s/1","goal":"` + strings.Repeat("ü", 3000) + `","seq":3,"observed":["a.c"]}`)
	f.Add(`{"action":"a.b","agent":null,"time":"2026-05-04T12:00:00Z","extra":{}}`)
	f.Add(`{"action":""}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := replay.NewLines("log", strings.NewReader(text)).Next()
		if err != nil {
			return
		}
		c, err := replay.ParseCall(l, "")
		if err != nil {
			return
		}
		body, err := schemas.Marshal(c.Proposal())
		if err != nil {
			t.Fatalf("%s: proposing it: %v", text, err)
		}
		in, err := schemas.ReadIntent("gate", schemas.Record{Subject: "intents." + string(c.Agent) + "." + string(c.Action), Body: body})
		if err != nil && strings.Contains(err.Error(), "/session") || in.Agent != c.Agent {
			t.Fatalf("%s: a gate reads %+v, %v", text, in, err)
		}
	})
}
