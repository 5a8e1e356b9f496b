package replay

import (
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// What follows reads each type field by field, in the order of its declaration.

func (q *quick) intent() (in schemas.Intent) {
	q.must(`{"gateway":`)
	in.Gateway = q.name()
	q.must(`,"agent":`)
	in.Agent = q.name()
	q.must(`,"id":`)
	in.ID = q.id()
	q.must(`,"action":`)
	in.Action = q.action()
	if q.is(`,"params":`) {
		in.Params = q.value()
	}
	if q.is(`,"session":`) {
		in.Session = q.string()
	}
	q.must(`,"expires_in":`)
	in.ExpiresIn = schemas.Seconds(q.number())
	if q.is(`,"reason":`) {
		in.Reason = q.string()
	}
	if q.is(`,"goal":`) {
		in.Goal = q.string()
	}
	q.must(`,"proposed":`)
	in.Proposed = q.time()
	q.must(`,"digest":`)
	in.Digest = q.digest()
	q.must("}")
	return in
}

func (q *quick) fault() *schemas.Fault {
	var f schemas.Fault
	q.must(`{"code":`)
	f.Code = schemas.Code(q.kept())
	if q.is(`,"detail":`) {
		f.Detail = q.string()
	}
	q.must("}")
	return &f
}

func (q *quick) agent() (a schemas.AgentFacts) {
	q.must(`{"name":`)
	a.Name = q.name()
	if q.is(`,"owner":`) {
		a.Owner = q.kept()
	}
	if q.is(`,"groups":`) {
		a.Groups = many(q, (*quick).kept)
	}
	q.must("}")
	return a
}

func (q *quick) exposure() (e schemas.ExposureFacts) {
	q.must("{")
	if q.is(`"labels":`) {
		e.Labels = many(q, (*quick).kept)
		if !q.is(",") {
			q.must("}")
			return e
		}
	}
	q.must(`"actions":`)
	e.Actions = many(q, (*quick).action)
	q.must("}")
	return e
}

func (q *quick) opinion() (o schemas.Opinion) {
	q.must(`{"outcome":`)
	o.Outcome = q.outcome()
	q.must(`,"risk":`)
	o.Risk = int(q.number())
	if q.is(`,"matched":`) {
		o.Matched = many(q, (*quick).match)
	}
	if q.is(`,"failed":`) {
		o.Failed = many(q, (*quick).match)
	}
	if q.is(`,"more":`) {
		o.More = int(q.number())
	}
	if q.is(`,"approvals":`) {
		o.Approvals = many(q, (*quick).approval)
	}
	if q.is(`,"tell":`) {
		o.Tell = q.kept()
	}
	q.must("}")
	return o
}

func (q *quick) match() (m schemas.Match) {
	q.must(`{"rule":`)
	m.Rule = q.kept()
	q.must(`,"outcome":`)
	m.Outcome = q.outcome()
	if q.is(`,"add":`) {
		m.Add = int(q.number())
	}
	if q.is(`,"reason":`) {
		m.Reason = q.kept()
	}
	q.must("}")
	return m
}

func (q *quick) approval() (a schemas.Approval) {
	q.must(`{"id":`)
	a.ID = q.kept()
	if q.is(`,"eligible":`) {
		a.Eligible = q.kept()
	}
	q.must(`,"quorum":`)
	a.Quorum = int(q.number())
	if q.is(`,"deadline":`) {
		a.Deadline = schemas.Seconds(q.number())
	}
	if q.is(`,"remind":`) {
		a.Remind = schemas.Seconds(q.number())
	}
	q.must("}")
	return a
}

func (q *quick) taken() (t schemas.Taken) {
	q.must(`{"budget":`)
	t.Budget = q.kept()
	q.must(`,"amount":`)
	t.Amount = q.number()
	if q.is(`,"reserved":`) {
		t.Reserved = q.is("true")
		if !t.Reserved {
			q.must("false")
		}
	}
	q.must("}")
	return t
}

// stream reads the name of a stream: in a trail, one of three mostly.
func (q *quick) stream() schemas.Stream {
	switch raw := q.raw(); string(raw) {
	case string(schemas.Intents):
		return schemas.Intents
	case string(schemas.Observed):
		return schemas.Observed
	case string(schemas.Recommended):
		return schemas.Recommended
	default:
		return schemas.Stream(raw)
	}
}

func (q *quick) pointer() (p schemas.Pointer) {
	q.must(`{"stream":`)
	p.Stream = q.stream()
	q.must(`,"seq":`)
	p.Seq = uint64(q.number())
	q.must(`,"hash":`)
	p.Hash = q.digest()
	q.must("}")
	return p
}

// begin begins with a new text.
func (q *quick) begin(body []byte) {
	q.text, q.at, q.off = body, 0, false
	if q.names == nil {
		q.names = map[string]string{}
	}
}

// ended reports whether all of it was read.
func (q *quick) ended() bool { return !q.off && q.at == len(q.text) }

// observation reads what a record of OBSERVED says. Its parameters are part of
// body.
func (q *quick) observation(body []byte) (o schemas.Observation, ok bool) {
	q.begin(body)
	q.must(`{"intent":`)
	o.Intent = q.intent()
	if q.is(`,"fault":`) {
		o.Fault = q.fault()
	}
	q.must(`,"agent":`)
	o.Agent = q.agent()
	if q.is(`,"exposure":`) {
		o.Exposure = q.exposure()
	}
	q.must(`,"rate":`)
	o.Rate = int(q.number())
	q.must(`,"opinion":`)
	o.Opinion = q.opinion()
	if q.is(`,"bundle":`) {
		o.Bundle = q.bundle()
	}
	q.must(`,"at":`)
	o.At = q.time()
	q.must(`,"trail":`)
	o.Trail = many(q, (*quick).pointer)
	q.must("}")
	return o, q.ended()
}

// recommendation reads what a record of RECOMMENDED says.
func (q *quick) recommendation(body []byte) (r schemas.Recommendation, ok bool) {
	q.begin(body)
	q.must(`{"intent":`)
	r.Intent = q.intent()
	if q.is(`,"fault":`) {
		r.Fault = q.fault()
	}
	q.must(`,"opinion":`)
	r.Opinion = q.opinion()
	if q.is(`,"shadow":`) {
		r.Shadow = q.shadow()
	}
	if q.is(`,"queue":`) {
		r.Queue = q.name()
	}
	if q.is(`,"bundle":`) {
		r.Bundle = q.bundle()
	}
	q.must(`,"at":`)
	r.At = q.time()
	q.must(`,"trail":`)
	r.Trail = many(q, (*quick).pointer)
	q.must("}")
	return r, q.ended()
}

func (q *quick) shadow() *schemas.ShadowOpinion {
	var s schemas.ShadowOpinion
	q.must(`{"bundle":`)
	s.Bundle = q.bundle()
	q.must(`,"outcome":`)
	s.Outcome = q.outcome()
	if q.is(`,"rules":`) {
		s.Rules = many(q, (*quick).kept)
	}
	q.must("}")
	return &s
}

// settlement reads what a record of SETTLED says.
func (q *quick) settlement(body []byte) (s schemas.Settlement, ok bool) {
	q.begin(body)
	q.must(`{"intent":`)
	s.Intent = q.intent()
	q.must(`,"outcome":`)
	s.Outcome = q.outcome()
	if q.is(`,"code":`) {
		s.Code = schemas.Code(q.kept())
	}
	if q.is(`,"detail":`) {
		s.Detail = q.string()
	}
	if q.is(`,"tell":`) {
		s.Tell = q.kept()
	}
	if q.is(`,"execute_by":`) {
		s.ExecuteBy = q.time()
	}
	if q.is(`,"bundle":`) {
		s.Bundle = q.bundle()
	}
	q.must(`,"at":`)
	s.At = q.time()
	q.must(`,"trail":`)
	s.Trail = many(q, (*quick).pointer)
	q.must("}")
	return s, q.ended()
}

// hold reads what a record of PARKED says that nobody voted on and that was in no
// doubt.
func (q *quick) hold(body []byte) (h schemas.Hold, ok bool) {
	q.begin(body)
	q.must(`{"intent":`)
	h.Intent = q.intent()
	q.must(`,"state":`)
	h.State = schemas.State(q.kept())
	if q.is(`,"waiting":`) {
		h.Waiting = q.kept()
	}
	q.must(`,"queue":`)
	h.Queue = q.name()
	q.must(`,"opinion":`)
	h.Opinion = q.opinion()
	if q.is(`,"taken":`) {
		h.Taken = many(q, (*quick).taken)
	}
	if q.is(`,"recommended":`) {
		h.Recommended = many(q, (*quick).approval)
	}
	if q.is(`,"deadline":`) {
		h.Deadline = q.time()
	}
	if q.is(`,"remind":`) {
		h.Remind = q.time()
	}
	if q.is(`,"bundle":`) {
		h.Bundle = q.bundle()
	}
	q.must(`,"at":`)
	h.At = q.time()
	q.must(`,"trail":`)
	h.Trail = many(q, (*quick).pointer)
	if q.is(`,"inputs":`) {
		h.Inputs = many(q, (*quick).pointer)
	}
	if q.is(`,"states":`) {
		h.States = many(q, (*quick).digest)
	}
	q.must("}")
	return h, q.ended()
}

// changed reports whether body is that of a hold that changed since it was first
// parked: it ends with the states before it. Nested in something, they could not
// stand at its end.
func changed(body []byte) bool {
	const state = `"sha256:0000000000000000000000000000000000000000000000000000000000000000"`
	text, ok := strings.CutSuffix(string(body[max(0, len(body)-2000):]), "]}")
	for ok && len(text) > len(state) {
		one := text[len(text)-len(state):]
		if _, err := schemas.ParseDigest(strings.Trim(one, `"`)); err != nil || one[0] != '"' || one[len(one)-1] != '"' {
			return false
		}
		text = text[:len(text)-len(state)]
		if strings.HasSuffix(text, `,"states":[`) {
			return true
		}
		text, ok = strings.CutSuffix(text, ",")
	}
	return false
}
