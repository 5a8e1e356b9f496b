package stages

import (
	"errors"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestStreamsAreThoseOfTheFirstRecord: what provision says of a stream later counts
// if it is the same stream, kept otherwise; that it was made again does not.
func TestStreamsAreThoseOfTheFirstRecord(t *testing.T) {
	t.Parallel()
	c := NewControlState(provisionDirectory{})
	born := time.Unix(1_000_000, 0)
	digest := func(text string) schemas.Digest { return schemas.DigestOf(schemas.Intent{Params: []byte(text)}) }
	says := func(created time.Time, configuration schemas.Digest) error {
		s := schemas.StreamMade{By: "provision", Stream: schemas.Audit, Created: created, Configuration: configuration}
		d := schemas.Write(s, "/test", created, "")
		return c.Apply(schemas.Record{Stream: schemas.Control, Subject: d.Subject, Header: d.Header, Body: d.Body})
	}
	must(t, says(born, digest("{}")))
	must(t, says(born, digest(`{"n":1}`)))
	if err := says(born.Add(1), digest("{}")); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("another stream: %v, want ErrInvalid", err)
	}
	all := c.Streams()
	if len(all) != 1 || !all[0].Created.Equal(born) || all[0].Configuration != digest(`{"n":1}`) {
		t.Errorf("streams: %+v", all)
	}
}

// provisionDirectory knows provision.
type provisionDirectory struct{}

func (provisionDirectory) ByName(name schemas.Name) (schemas.Identity, bool) {
	return schemas.Identity{Name: name, Role: schemas.RoleProvision}, true
}

func (d provisionDirectory) Ever(name schemas.Name) (schemas.Identity, bool) { return d.ByName(name) }
