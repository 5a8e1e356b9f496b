package broker

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

func TestUnheard(t *testing.T) {
	t.Parallel()
	info := &jetstream.StreamInfo{Sources: []*jetstream.StreamSourceInfo{
		{Name: "heard", Active: time.Second},
		{Name: "never", Active: -1},
		{Name: "silent", Active: time.Minute},
		{Name: "failed", Active: time.Second, Error: &jetstream.APIError{}},
	}}
	if got, want := unheard(info), []string{"never", "silent", "failed"}; !slices.Equal(got, want) {
		t.Errorf("unheard: %v, want %v", got, want)
	}
}

func TestReplaceable(t *testing.T) {
	t.Parallel()
	now := time.Now()
	long, just := now.Add(-time.Hour), now.Add(-time.Second)
	current, lagging, gone := &jetstream.PeerInfo{Current: true}, &jetstream.PeerInfo{}, &jetstream.PeerInfo{Current: true, Offline: true}
	cases := map[string]struct {
		cluster *jetstream.ClusterInfo
		want    bool
	}{
		"a single server":        {nil, false},
		"kept once in a cluster": {&jetstream.ClusterInfo{LeaderSince: &long}, false},
		"nobody leads":           {&jetstream.ClusterInfo{Replicas: []*jetstream.PeerInfo{current}}, false},
		"leads since a second":   {&jetstream.ClusterInfo{LeaderSince: &just, Replicas: []*jetstream.PeerInfo{current}}, false},
		"nobody could follow":    {&jetstream.ClusterInfo{LeaderSince: &long, Replicas: []*jetstream.PeerInfo{lagging, gone}}, false},
		"one could follow":       {&jetstream.ClusterInfo{LeaderSince: &long, Replicas: []*jetstream.PeerInfo{gone, current}}, true},
	}
	for name, c := range cases {
		if got := replaceable(&jetstream.StreamInfo{TimeStamp: now, Cluster: c.cluster}); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// TestProvisionAudit: whoever makes AUDIT has no right with which anything could
// be taken out of it.
func TestProvisionAudit(t *testing.T) {
	t.Parallel()
	u, err := UserOf(schemas.Identity{Name: "provision-audit", Role: schemas.RoleProvisionAudit, Key: "K"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"$JS.API.STREAM.CREATE.AUDIT", "$JS.API.STREAM.INFO.AUDIT", "$JS.API.STREAM.LEADER.STEPDOWN.AUDIT"}
	if !slices.Equal(u.Publish, want) {
		t.Errorf("provision-audit may publish %q, want %q", u.Publish, want)
	}
}
