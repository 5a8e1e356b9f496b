package schemas_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

// grammar is a table of what a Parse function takes and refuses.
type grammar struct {
	good []string
	bad  []string
}

func (g grammar) check(t *testing.T, parse func(string) (string, error)) {
	t.Helper()
	for _, s := range g.good {
		if got, err := parse(s); err != nil || got != s {
			t.Errorf("%q: got %q, %v, want it unchanged", s, got, err)
		}
	}
	for _, s := range g.bad {
		got, err := parse(s)
		if !isFault(err) || got != "" {
			t.Errorf("%q: got %q, %v, want a Fault", s, got, err)
		}
	}
}

func TestParseName(t *testing.T) {
	t.Parallel()
	grammar{
		good: []string{"a", "0", "-", "bot", "order-desk-2", strings.Repeat("x", 32)},
		bad: []string{
			"", "Bot", "bot_1", "a.b", "*", ">", "a b", "bot\n", "böt", "bot\x00", "İ", "K", // the last is the Kelvin sign
			strings.Repeat("x", 33),
		},
	}.check(t, func(s string) (string, error) { n, err := schemas.ParseName(s); return string(n), err })
}

func TestParseAction(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	grammar{
		good: []string{"shop.refund", "S_3.put-Object", "0.0", long + "." + long},
		bad: []string{
			"", ".", "shop", "shop.", ".refund", "shop.refund.now", "shop..refund", "*.refund", "shop.*", "shop.>", "shop.re fund",
			"shöp.refund", "shop.refund\n", long + "x." + long, long + "." + long + "x",
		},
	}.check(t, func(s string) (string, error) { a, err := schemas.ParseAction(s); return string(a), err })
	a := schemas.Action("shop.refund")
	if a.System() != "shop" || a.Operation() != "refund" {
		t.Errorf("%s: got system %q, operation %q, want shop and refund", a, a.System(), a.Operation())
	}
}

func TestParseIntentID(t *testing.T) {
	t.Parallel()
	const tail = "1M86PTPG0D1QPRS3GDXMPWX11"
	grammar{
		good: []string{
			"0" + tail, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "00000000000000000000000000", string(schemas.SequenceID(42)),
		},
		bad: []string{
			"", "0" + strings.ToLower(tail), "0" + tail[1:], "00" + tail, "8" + tail, "9" + tail, "Z" + tail,
			"0I" + tail[1:], "0L" + tail[1:], "0O" + tail[1:], "0U" + tail[1:], // Crockford reads three of them as digits
			"0-" + tail[1:], "0*" + tail[1:], "0." + tail[1:], "0" + tail[:24] + "\n",
		},
	}.check(t, func(s string) (string, error) { i, err := schemas.ParseIntentID(s); return string(i), err })
}

// TestIntentIDsAreULIDs compares with the library: what is accepted here is the
// canonical form of a ULID, and nothing else.
func TestIntentIDsAreULIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[0-9][0-9A-Za-z]{25}`).Draw(t, "s")
		u, libErr := ulid.ParseStrict(s)
		_, err := schemas.ParseIntentID(s)
		if got, want := err == nil, libErr == nil && u.String() == s; got != want {
			t.Errorf("%q: accepted %v, want %v", s, got, want)
		}
	})
}

func TestIntentIDTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 12, 0, 0, 123_000_000, time.UTC)
	a, b := schemas.NewIntentID(at), schemas.NewIntentID(at)
	if a == b {
		t.Errorf("two fresh ids are both %s", a)
	}
	for _, made := range []schemas.IntentID{a, b} {
		if _, err := schemas.ParseIntentID(string(made)); err != nil {
			t.Errorf("fresh id: %v", err)
		}
		if got := made.Time(); !got.Equal(at) {
			t.Errorf("time of %s: got %s, want %s", made, got, at)
		}
	}
	// A sequence beyond 2^53 could not stand in JSON either.
	if got := schemas.SequenceID(1<<53 - 1).Time(); got.Unix() != 0 {
		t.Errorf("time of the largest sequence: got %s, want zero", got)
	}
	if got := schemas.IntentID("nonsense").Time(); !got.IsZero() {
		t.Errorf("time of no ULID: got %s, want the zero time", got)
	}
}

func TestSequenceID(t *testing.T) {
	t.Parallel()
	for seq, want := range map[uint64]schemas.IntentID{
		0:         "00000000000000000000000000",
		7:         "00000000000000000000000007",
		1<<64 - 1: "00000018446744073709551615",
	} {
		if got := schemas.SequenceID(seq); got != want {
			t.Errorf("sequence %d: got %s, want %s", seq, got, want)
		}
	}
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0123456789abcdef", 4)
	grammar{
		good: []string{"sha256:" + hex},
		bad: []string{
			"", hex, "sha256:", "sha256:" + hex[1:], "sha256:" + hex + "0", "SHA256:" + hex, "sha256:" + strings.ToUpper(hex),
			"sha512:" + hex, "sha256: " + hex[1:], "sha256:" + hex[:63] + "g", "sha256:sha256:" + hex[7:],
		},
	}.check(t, func(s string) (string, error) { d, err := schemas.ParseDigest(s); return string(d), err })
}

func TestDigestPrefix(t *testing.T) {
	t.Parallel()
	d := schemas.Digest("sha256:" + strings.Repeat("0123456789abcdef", 4))
	if got, want := d.Short(), "0123456789ab"; got != want {
		t.Errorf("short: got %q, want %q", got, want)
	}
	if got := schemas.Digest("").Short(); got != "" {
		t.Errorf("short of nothing: got %q, want nothing", got)
	}
	for prefix, want := range map[string]bool{
		"0123456789ab":          true,
		"0123456789abc":         true,
		"sha256:0123456789ab":   true,
		string(d):               true,
		"":                      false,
		"sha256:":               false,
		"0123456789a":           false, // eleven digits
		"sha256:0123456789a":    false,
		"sha256:01234":          false, // twelve bytes, five digits
		"0123456789ac":          false,
		"0123456789AB":          false,
		"123456789abc":          false, // inside, not at the beginning
		string(d) + "0":         false,
		"sha256:sha256:0123456": false,
	} {
		if got := d.HasPrefix(prefix); got != want {
			t.Errorf("HasPrefix(%q): got %v, want %v", prefix, got, want)
		}
	}
	if schemas.Digest("").HasPrefix("0123456789ab") {
		t.Error("no digest has a prefix")
	}
}

// TestFaultsAreText: what somebody sent is quoted in faults, and faults go into
// records, which are UTF-8 and of limited size.
func TestFaultsAreText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := string(rapid.SliceOf(rapid.Byte()).Draw(t, "sent")) + strings.Repeat("é", rapid.IntRange(0, 60).Draw(t, "more"))
		_, err := schemas.ParseName(sent + ".")
		checkFault(t, err)
		body := []byte(text(map[string]any{sent: 1}))
		checkFault(t, schemas.Unmarshal(body, &schemas.Proposal{}))
	})
}
