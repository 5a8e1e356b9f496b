package schemas_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

// subjects are one of each kind, as section 2 of the design writes them.
func subjects() map[string]schemas.Subject {
	return map[string]schemas.Subject{
		"intents.bot.shop.refund":                                {Kind: "intents", Stream: schemas.Intents, Agent: bot, Action: refund},
		"observed.bot.shop.refund":                               {Kind: "observed", Stream: schemas.Observed, Agent: bot, Action: refund},
		"recommended.park.bot.shop.refund":                       {Kind: "recommended", Stream: schemas.Recommended, Outcome: "park", Agent: bot, Action: refund},
		"parked." + string(id) + ".bot.money":                    {Kind: "parked", Stream: schemas.ParkedHolds, Intent: id, Agent: bot, Queue: "money"},
		"decisions.ann.money.bot." + string(id):                  {Kind: "decisions", Stream: schemas.Decisions, Writer: "ann", Queue: "money", Agent: bot, Intent: id},
		"standing.ann.money.bot." + string(id):                   {Kind: "standing", Stream: schemas.Standings, Writer: "ann", Queue: "money", Agent: bot, Intent: id},
		"revoked.ben.money.bot." + string(id):                    {Kind: "revoked", Stream: schemas.Standings, Writer: "ben", Queue: "money", Agent: bot, Intent: id},
		"released." + string(id) + ".bot.shop.refund":            {Kind: "released", Stream: schemas.Settled, Intent: id, Agent: bot, Action: refund},
		"refused." + string(id) + ".bot.shop.refund":             {Kind: "refused", Stream: schemas.Settled, Intent: id, Agent: bot, Action: refund},
		"granted." + string(id) + ".bot.worker":                  {Kind: "granted", Stream: schemas.Grants, Intent: id, Agent: bot, Writer: "worker"},
		"lapsed." + string(id) + ".bot.execute":                  {Kind: "lapsed", Stream: schemas.Grants, Intent: id, Agent: bot, Writer: "execute"},
		"outcomes.worker.bot." + string(id):                      {Kind: "outcomes", Stream: schemas.Outcomes, Writer: "worker", Agent: bot, Intent: id},
		"rejected.ann.bot." + string(id):                         {Kind: "rejected", Stream: schemas.Rejected, Writer: "ann", Agent: bot, Intent: id},
		"budgets.refunds-a-day.0123456789abcdef0123456789abcdef": {Kind: "budgets", Stream: schemas.Budgets, Budget: "refunds-a-day", Key: "0123456789abcdef0123456789abcdef"},
		"exposed.bot":                                          {Kind: "exposed", Stream: schemas.Exposed, Agent: bot},
		"control.ida.identity.ann":                             {Kind: "control", Stream: schemas.Control, Writer: "ida", About: "identity", Record: "ann"},
		"recommended.refuse.bot.S3_x.put-Object":               {Kind: "recommended", Stream: schemas.Recommended, Outcome: "refuse", Agent: bot, Action: "S3_x.put-Object"},
		"released.00000000000000000000000042.bot.holdpoint.ok": {Kind: "released", Stream: schemas.Settled, Intent: schemas.SequenceID(42), Agent: bot, Action: "holdpoint.ok"},
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	for text, want := range subjects() {
		got, err := schemas.ParseSubject(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if got.String() != text {
			t.Errorf("%s: put together it is %s", text, got)
		}
	}
}

// TestStreamSubjects holds the patterns against the table of section 2.
func TestStreamSubjects(t *testing.T) {
	t.Parallel()
	want := map[schemas.Stream][]string{
		"INTENTS":     {"intents.*.*.*"},
		"OBSERVED":    {"observed.*.*.*"},
		"RECOMMENDED": {"recommended.*.*.*.*"},
		"PARKED":      {"parked.*.*.*"},
		"DECISIONS":   {"decisions.*.*.*.*"},
		"STANDING":    {"standing.*.*.*.*", "revoked.*.*.*.*"},
		"SETTLED":     {"released.*.*.*.*", "refused.*.*.*.*"},
		"GRANTED":     {"granted.*.*.*", "lapsed.*.*.*"},
		"OUTCOMES":    {"outcomes.*.*.*"},
		"REJECTED":    {"rejected.*.*.*"},
		"EXPOSED":     {"exposed.*"},
		"BUDGETS":     {"budgets.*.*"},
		"CONTROL":     {"control.*.*.*"},
	}
	got := make(map[schemas.Stream][]string)
	for _, s := range schemas.Streams() {
		got[s] = s.Subjects()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subjects of the streams (-want +got):\n%s", diff)
	}
	if got := schemas.Audit.Subjects(); got != nil {
		t.Errorf("AUDIT: got subjects %v, want none of its own", got)
	}
	for text, s := range subjects() {
		if !slices.ContainsFunc(s.Stream.Subjects(), func(pattern string) bool { return matches(pattern, text) }) {
			t.Errorf("%s: no subject of %s matches it", text, s.Stream)
		}
	}
}

// TestFilters pins the bytes: writers with different filters do not exclude each
// other on a replicated stream.
func TestFilters(t *testing.T) {
	t.Parallel()
	k := schemas.Key{Agent: bot, ID: id}
	for _, f := range []struct {
		name, got, want string
		matches         []string
	}{
		{
			"settlement", schemas.SettlementFilter(k), "*.01M86PTPG0D1QPRS3GDXMPWX11.bot.*.*",
			[]string{"released.01M86PTPG0D1QPRS3GDXMPWX11.bot.shop.refund", "refused.01M86PTPG0D1QPRS3GDXMPWX11.bot.shop.refund"},
		},
		{
			"grant", schemas.GrantFilter(k), "*.01M86PTPG0D1QPRS3GDXMPWX11.bot.*",
			[]string{"granted.01M86PTPG0D1QPRS3GDXMPWX11.bot.worker", "lapsed.01M86PTPG0D1QPRS3GDXMPWX11.bot.execute"},
		},
		{
			"hold", schemas.HoldFilter(k), "parked.01M86PTPG0D1QPRS3GDXMPWX11.bot.*",
			[]string{"parked.01M86PTPG0D1QPRS3GDXMPWX11.bot.money"},
		},
		{
			"revocation", schemas.RevocationFilter("money", bot, id), "revoked.*.money.bot.01M86PTPG0D1QPRS3GDXMPWX11",
			[]string{schemas.Revocation{ID: id, Reviewer: "ben", Queue: "money", Agent: bot}.Subject()},
		},
	} {
		if f.got != f.want {
			t.Errorf("%s filter: got %q, want %q", f.name, f.got, f.want)
		}
		for _, s := range f.matches {
			if !matches(f.got, s) {
				t.Errorf("%s filter %q does not match %s", f.name, f.got, s)
			}
		}
	}
}

// matches is how the broker matches a subject.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	if len(p) != len(s) {
		return false
	}
	for i := range p {
		if p[i] != "*" && p[i] != s[i] {
			return false
		}
	}
	return true
}

func TestParseSubjectRefuses(t *testing.T) {
	t.Parallel()
	i := string(id)
	for _, c := range []struct {
		subject string
		names   string       // what the fault must name
		agent   schemas.Name // what is known all the same
	}{
		{"", "no kind", ""},
		{"intents", "no kind", ""},
		{"unknown.bot.shop.refund", "unknown.bot.shop.refund", ""},
		{"INTENTS.bot.shop.refund", "no kind", ""},
		{"intents.bot.shop", "intents.bot.shop", ""},
		{"intents.bot.shop.refund.now", "no kind", ""},
		{"ask.bot.show", "no kind", ""},
		{"audit.intents.bot", "no kind", ""},
		{"intents.Bot.shop.refund", `"Bot"`, ""},
		{"intents..shop.refund", `""`, ""},
		{"intents.*.shop.refund", `"*"`, ""},
		{"intents.bot.sh op.refund", `"sh op.refund"`, bot},
		{"intents.bot.shop.", `"shop."`, bot},
		{"intents.bot.*.refund", `"*.refund"`, bot},
		{"intents.bot.shop.>", `"shop.>"`, bot},
		{"recommended.*.bot.shop.refund", `"*"`, bot},
		{"recommended..bot.shop.refund", `""`, bot},
		{"parked." + strings.ToLower(i) + ".bot.money", strings.ToLower(i), bot},
		{"parked." + i + ".bot.Money", `"Money"`, bot},
		{"parked.*.bot.money", `"*"`, bot},
		{"decisions.ann.*.bot." + i, `"*"`, bot},
		{"decisions.ann.money.bot.*", `"*"`, bot},
		{"standing.ann.money.bot.*", `"*"`, bot},
		{"standing.ann.money.bot." + strings.ToLower(i), strings.ToLower(i), bot},
		{"revoked.*.money.bot." + i, `"*"`, bot},
		{"decisions.A.money.bot." + i, `"A"`, bot},
		{"control.ida.*.ann", `"*"`, ""},
		{"control.ida.identity.", `""`, ""},
	} {
		s, err := schemas.ParseSubject(c.subject)
		if !isFault(err) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%q: got %v, want a Fault that names %s", c.subject, err, c.names)
		}
		if s.Agent != c.agent {
			t.Errorf("%q: got agent %q, want %q", c.subject, s.Agent, c.agent)
		}
	}
}

// TestSubjectWildcards: the same grammar gives filters and permissions.
func TestSubjectWildcards(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]schemas.Subject{
		"intents.bot.*.*":      {Kind: "intents", Agent: bot},
		"decisions.ann.*.*.*":  {Kind: "decisions", Writer: "ann"},
		"parked.*.*.money":     {Kind: "parked", Queue: "money"},
		"released.*.*.shop.*":  {Kind: "released", Action: "shop.*"},
		"control.ida.freeze.*": {Kind: "control", Writer: "ida", About: "freeze"},
	} {
		if got := s.String(); got != want {
			t.Errorf("%+v: got %s, want %s", s, got, want)
		}
	}
}

func TestSubjectsRoundTrip(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[a-z0-9-]{1,32}`)
	action := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}`)
	ulid := rapid.StringMatching(`[0-7][0-9A-HJKMNP-TV-Z]{25}`)
	rapid.Check(t, func(t *rapid.T) {
		full := schemas.Subject{
			Agent: schemas.Name(name.Draw(t, "agent")), Queue: schemas.Name(name.Draw(t, "queue")), Writer: schemas.Name(name.Draw(t, "writer")),
			Record: schemas.Name(name.Draw(t, "record")), Intent: schemas.IntentID(ulid.Draw(t, "intent")),
			Action: schemas.Action(action.Draw(t, "action")), Outcome: "release", About: "freeze",
			Budget: "b", Key: "0123456789abcdef0123456789abcdef",
		}
		for _, s := range subjects() {
			full.Kind = s.Kind
			got, err := schemas.ParseSubject(full.String())
			if err != nil || got.String() != full.String() {
				t.Errorf("%s: got %s, %v, want it back", full, got, err)
			}
		}
	})
}
