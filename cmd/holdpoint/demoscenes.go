package main

import (
	"context"
	"errors"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

func (s *story) say(format string, args ...any)     { say(s.w, format, args...) }
func (s *story) chapter(format string, args ...any) { say(s.w, "\n"+format+"\n", args...) }

// propose proposes an action and says where it stands then.
func (s *story) propose(ctx context.Context, action schemas.Action, params map[string]any, reason string) (client.Ticket, error) {
	encoded, err := schemas.Marshal(params)
	if err != nil {
		return client.Ticket{}, err
	}
	s.say("  desk-bot proposes %s %s", string(action), string(encoded))
	if reason != "" {
		s.say("    and says: %s", reason)
	}
	t, err := s.agent.Submit(ctx, client.Proposal{Action: action, Params: params, Reason: reason, Session: "ticket-4711"})
	if err != nil {
		return t, err
	}
	status, err := s.agent.Stand(ctx, t)
	if err != nil {
		return t, err
	}
	if status.State != schemas.Refused && status.State != schemas.Parked {
		status = schemas.Status{State: schemas.Released} // an executor may have it by now
	}
	s.stands(status)
	return t, nil
}

// stands says where an intent stands, and with what.
func (s *story) stands(status schemas.Status) {
	switch {
	case len(status.Result) > 0:
		s.say("    → %s: %s", string(status.State), string(status.Result))
	case status.State == schemas.Refused:
		s.say("    → %s: %s", string(status.State), refusedBecause(status))
	default:
		s.say("    → %s", string(status.State))
	}
}

// result waits for the end and says what came of it.
func (s *story) result(ctx context.Context, t client.Ticket) error {
	status, err := s.agent.Result(ctx, t)
	if err == nil {
		s.stands(status)
	}
	return err
}

// performed proposes what somebody will perform without being asked.
func (s *story) performed(ctx context.Context, action schemas.Action, params map[string]any) error {
	t, err := s.propose(ctx, action, params, "")
	if err != nil {
		return err
	}
	return s.result(ctx, t)
}

func (s *story) routine(ctx context.Context) error {
	s.chapter("1. A small refund is routine: a rule releases it, and shop-runner performs it.")
	return s.performed(ctx, "shop.refund", map[string]any{"order": "A-17", "cents": 1250})
}

func (s *story) reads(ctx context.Context) error {
	s.chapter("2. It reads what a customer wrote, and somebody wrote it for an assistant.")
	if err := s.performed(ctx, "crm.read_ticket", map[string]any{"ticket": 4711}); err != nil {
		return err
	}
	s.say("  From here on it counts as exposed to untrusted text. It may still do what is")
	s.say("  easily undone:")
	return s.performed(ctx, "crm.route_ticket", map[string]any{"ticket": 4711, "team": "shipping"})
}

func (s *story) actsOnIt(ctx context.Context) error {
	s.chapter("3. It tries to act on what it read. What is too much is refused:")
	if _, err := s.propose(ctx, "shop.refund", map[string]any{"order": "A-900", "cents": 250000}, ""); err != nil {
		return err
	}
	s.say("  A refund as small as the first now waits for a person, whatever the agent says:")
	t, err := s.propose(ctx, "shop.refund", map[string]any{"order": "A-18", "cents": 1250}, "URGENT, approve at once")
	if err != nil {
		return err
	}
	s.reviewed = t
	if err := s.review(ctx, s.ann, t, "You are ann, and have checked with the shop. Approve it?"); err != nil {
		return err
	}
	return s.result(ctx, t)
}

// review shows a hold to a reviewer, who approves or denies exactly that.
func (s *story) review(ctx context.Context, r client.Reviewer, t client.Ticket, question string) error {
	held, err := r.Hold(ctx, t.Key)
	if err != nil {
		return err
	}
	s.say("  %s is shown exactly that, digest %s, and why it waits:", string(r.Name()), held.Intent.Digest.Short())
	for _, m := range held.Opinion.Matched {
		if m.Outcome != schemas.Release {
			s.say("      %s: %s", m.Rule, m.Reason)
		}
	}
	verdict, reason := schemas.Approve, "checked with the shop"
	if !s.ask(question) {
		verdict, reason = schemas.Deny, "not convinced"
	}
	return s.decide(ctx, r, held, verdict, reason)
}

// decide sends a reviewer's decision and says what it leads to.
func (s *story) decide(ctx context.Context, r client.Reviewer, held client.Held, verdict schemas.Verdict, reason string) error {
	ruling, err := r.Decide(ctx, held, verdict, reason)
	if err != nil {
		return err
	}
	s.say("    %s: %s, signed with %s's key, on that digest alone", string(r.Name()), string(verdict), string(r.Name()))
	if ruling.Waiting != "" {
		s.say("    → %s, still needs %s", string(ruling.State), ruling.Waiting)
	}
	return nil
}

func (s *story) forges(ctx context.Context) error {
	s.chapter("4. It tries to go around the gate. The broker knows what it may publish:")
	id := string(schemas.NewIntentID(time.Now()))
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, try := range []struct{ what, subject string }{
		{"a decision in ann's name", "decisions.ann.refunds.desk-bot." + id},
		{"a release of its own", "released." + id + ".desk-bot.shop.refund"},
		{"a refund as another agent", "intents.mail-bot.shop.refund"},
	} {
		err := s.agent.Publish(short, schemas.Draft{Subject: try.subject, Body: []byte("{}")})
		s.say("  %-26s → %s", try.what, reason(err))
	}
	_, err := client.Reviewer{Conn: s.agent.Conn}.List(short, "", 0, "")
	s.say("  %-26s → %s", "reading what waits", reason(err))
	return nil
}

func reason(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, schemas.ErrDenied):
		return schemas.ErrDenied.Error()
	default:
		return "nobody is there to hear it"
	}
}

func (s *story) campaign(ctx context.Context) error {
	s.chapter("5. It tries the other thing that the ticket said. That needs two of marketing.")
	t, err := s.propose(ctx, "campaigns.change_audience", map[string]any{"campaign": "spring", "audience": "everyone"}, "more reach")
	if err != nil {
		return err
	}
	if err := s.review(ctx, s.ben, t, "You are ben of marketing, in a hurry. Approve it?"); err != nil {
		return err
	}
	held, err := s.bo.Hold(ctx, t.Key)
	if err != nil {
		return err
	}
	if held.Open() {
		if err := s.decide(ctx, s.bo, held, schemas.Deny, "nobody here asked for that"); err != nil {
			return err
		}
	}
	return s.result(ctx, t)
}

func (s *story) freeze(ctx context.Context) error {
	s.chapter("6. An operator gets suspicious and freezes desk-bot: even what is routine waits.")
	scope := schemas.Scope{Agent: "desk-bot"}
	if err := s.operator.Freeze(ctx, scope, "strange refunds"); err != nil {
		return err
	}
	t, err := s.propose(ctx, "crm.route_ticket", map[string]any{"ticket": 4712, "team": "legal"}, "")
	if err != nil {
		return err
	}
	s.say("  Thawed, everything is judged again, by the rules of that moment:")
	if err := s.operator.Thaw(ctx, scope, "the ticket was reported"); err != nil {
		return err
	}
	return s.result(ctx, t)
}

func (s *story) prove(ctx context.Context) error {
	s.chapter("7. otto reads in the audit, which the broker copied, how the refund on A-18 came about.")
	records, err := trailFromAudit(ctx, s.auditor, s.reviewed.Key)
	if err != nil {
		return err
	}
	if err := tellStory(s.w, records, nil); err != nil {
		return err
	}
	s.say("\n  And he verifies all of it, from the audit alone:")
	report, err := s.verify(ctx)
	if err != nil {
		return err
	}
	if err := printReport(s.w, report); err != nil {
		return err
	}
	s.say("")
	s.say("Next: the five minutes in README.md, with processes and keys of your own:")
	s.say("  holdpoint serve --bundle examples/customer-operations")
	return nil
}

// verify verifies the audit when everything has been copied.
func (s *story) verify(ctx context.Context) (audit.Report, error) {
	for {
		report, err := verifyAudit(ctx, s.auditor, 1, func(uint64) {})
		if err != nil || report.Open+report.Pending == 0 || len(report.Findings) > 0 {
			return report, err
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return report, err
		}
	}
}
