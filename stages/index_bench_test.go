package stages

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// openHold returns the record of a hold of any risk.
func openHold(r *rand.Rand, i int) schemas.Record {
	at := time.Now().UTC().Add(time.Duration(i) * time.Millisecond)
	in := schemas.Intent{Gateway: "test", Agent: schemas.Name(fmt.Sprintf("bot-%d", i%1000)), ID: schemas.NewIntentID(at), Action: "sys.big", Params: []byte(`{}`), ExpiresIn: 3600, Proposed: at}
	in.Digest = schemas.DigestOf(in)
	h := schemas.Hold{Intent: in, State: schemas.Parked, Queue: "desk", Opinion: schemas.Opinion{Risk: r.IntN(1000)}, Deadline: at.Add(time.Hour), At: at}
	d := schemas.Write(h, "/test", at, "")
	return schemas.Record{Stream: schemas.ParkedHolds, Seq: uint64(i + 1), Subject: d.Subject, Header: d.Header, Body: d.Body}
}

// BenchmarkIndex is what one more open hold costs an index that has 100,000: to take
// it in and out again, and in memory.
func BenchmarkIndex(b *testing.B) {
	const many = 100_000
	r := rand.New(rand.NewPCG(1, 1))
	before := alive()
	x := NewIndex(nil)
	for i := range many {
		must(b, x.Apply(openHold(r, i)))
	}
	each := float64(alive()-before) / many
	var h schemas.Hold
	must(b, schemas.Read(openHold(r, many), &h))
	for seq := uint64(many); b.Loop(); {
		seq++
		h.State, h.Opinion.Risk = schemas.Parked, r.IntN(1000)
		x.Held(h, seq)
		seq++
		h.State = schemas.Refused
		x.Held(h, seq)
	}
	b.ReportMetric(each, "bytes/hold")
	runtime.KeepAlive(x)
}

// alive is how much memory is in use.
func alive() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
