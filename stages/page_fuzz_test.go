package stages

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// FuzzCursor: a cursor is what a reviewer sends, so that it may be anything. It is
// refused, or it is the place where a page begins; whatever it is, pages are in
// order and repeat nothing.
func FuzzCursor(f *testing.F) {
	x := NewIndex(nil)
	began := time.Now().UTC()
	for i := range 20 {
		in := schemas.Intent{Agent: "bot", ID: schemas.SequenceID(uint64(i)), Action: "sys.big", Proposed: began.Add(time.Duration(i%3) * time.Second)}
		h := schemas.Hold{Intent: in, State: schemas.Parked, Queue: "desk", Opinion: schemas.Opinion{Risk: i % 4}, Deadline: began.Add(time.Hour)}
		if i%7 == 0 {
			h.State, h.Doubt = schemas.InDoubt, &schemas.Doubt{}
		}
		x.Held(h, uint64(i+1))
	}
	queues := []schemas.Name{"desk", "none"}
	all, err := x.Page(queues, 100, "")
	must(f, err)
	for limit := range 4 {
		page, err := x.Page(queues, 1+limit, "")
		must(f, err)
		f.Add(page.After, limit)
	}
	for _, odd := range []string{"", "x", "====", "cGFya2VkIDEgMiAzIDQ", "cGFya2VkIC0xIC05MjIzMzcyMDM2ODU0Nzc1ODA4IHggeQ"} {
		f.Add(odd, 3)
	}
	f.Fuzz(func(t *testing.T, after string, limit int) {
		limit = 1 + (limit&0xff)%50
		page, err := x.Page(queues, limit, after)
		if err != nil {
			if !errors.Is(err, schemas.ErrInvalid) {
				t.Errorf("%q: %v, want that it is invalid", after, err)
			}
			return
		}
		if page.Total != len(all.Holds) || len(page.Holds) > limit {
			t.Errorf("%q: %d holds of %d, want at most %d of %d", after, len(page.Holds), page.Total, limit, len(all.Holds))
		}
		from := len(all.Holds) - len(page.Holds)
		if len(page.Holds) > 0 {
			from = slices.Index(all.Holds, page.Holds[0])
		}
		if !slices.Equal(page.Holds, all.Holds[from:from+len(page.Holds)]) {
			t.Errorf("%q: %v is not a part of %v", after, page.Holds, all.Holds)
		}
		if more := from+len(page.Holds) < len(all.Holds); more != (page.After != "") {
			t.Errorf("%q: next page %q, although more is left: %t", after, page.After, more)
		}
	})
}
