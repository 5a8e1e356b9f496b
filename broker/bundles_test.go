package broker_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

func digestOf(b []byte) schemas.Digest {
	h := sha256.Sum256(b)
	return schemas.Digest("sha256:" + hex.EncodeToString(h[:]))
}

// TestBundlesComeBackWhole: an archive of any size comes back byte for byte, to a
// stage as to a stock client of the object store.
func TestBundlesComeBackWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	poe, log := w.conn("poe"), w.log(schemas.RoleRecommend)
	_, js := w.root(broker.Gate)
	store, err := js.ObjectStore(w.ctx(), "bundles")
	check(t, err)
	const chunk = 128 << 10
	for i, size := range []int{1, chunk - 1, chunk, chunk + 1, 3*chunk + 7} {
		archive := bytes.Repeat([]byte{byte(i), 1, 2}, size/3+1)[:size]
		check(t, poe.PutBundle(w.ctx(), digestOf(archive), archive))
		got, err := log.Bundle(w.ctx(), digestOf(archive))
		if err != nil || !bytes.Equal(got, archive) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		got, err = store.GetBytes(w.ctx(), string(digestOf(archive)))
		if err != nil || !bytes.Equal(got, archive) {
			t.Errorf("%d bytes, by a stock client: got %d, %v", size, len(got), err)
		}
	}
	if _, err := log.Bundle(w.ctx(), digestOf([]byte("another"))); !errors.Is(err, schemas.ErrNotFound) {
		t.Errorf("a bundle that was never stored: %v, want ErrNotFound", err)
	}
	large := make([]byte, 12<<20+1)
	if err := poe.PutBundle(w.ctx(), digestOf(large), large); !isInvalid(err) {
		t.Errorf("a bundle that nobody would read is stored: %v", err)
	}
	if err := poe.PutBundle(w.ctx(), digestOf(nil), nil); !isInvalid(err) {
		t.Errorf("an empty bundle is stored: %v", err)
	}
}

// TestBundleThatIsNotWhole: what a policy-admin, or its program that died at work,
// left in the store is never handed on as a bundle, and never waited for: the next
// one can be loaded.
func TestBundleThatIsNotWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	poe, log := w.conn("poe"), w.log(schemas.RoleRecommend)
	put := func(subject, body string) {
		t.Helper()
		_, err := poe.Send(w.ctx(), schemas.Draft{Subject: subject, Body: []byte(body)})
		check(t, err)
	}
	hash := sha256.Sum256([]byte("whole"))
	good := "SHA-256=" + base64.URLEncoding.EncodeToString(hash[:])
	meta := func(nuid string, size int, digest string) string {
		return fmt.Sprintf(`{"name":"x","bucket":"bundles","nuid":%q,"size":%d,"digest":%q,"chunks":1}`, nuid, size, digest)
	}
	put("$O.bundles.C.half", "who")
	put("$O.bundles.C.whole", "whole")
	put("$O.bundles.C.long", "whole and more")
	for name, c := range map[string]struct {
		meta string
		want error
	}{
		"no chunks":       {meta("none", 5, good), schemas.ErrUnavailable},
		"half the chunks": {meta("half", 5, good), schemas.ErrUnavailable},
		"more than said":  {meta("long", 5, good), schemas.ErrInvalid},
		"another digest":  {meta("whole", 5, "SHA-256=x"), schemas.ErrInvalid},
		"no size":         {meta("whole", 0, good), schemas.ErrInvalid},
		"too large":       {meta("whole", 1<<40, good), schemas.ErrInvalid},
		"no nuid":         {meta("", 5, good), schemas.ErrUnavailable},
		"nuid of tokens":  {meta("a..b", 5, good), schemas.ErrUnavailable},
		"nuid of blanks":  {meta("a b", 5, good), schemas.ErrUnavailable},
		"garbage":         {`{"size":`, schemas.ErrInvalid},
		"nothing":         {``, schemas.ErrInvalid},
		"whole":           {meta("whole", 5, good), nil},
	} {
		digest := digestOf([]byte(name))
		put("$O.bundles.M."+base64.URLEncoding.EncodeToString([]byte(digest)), c.meta)
		ctx, cancel := context.WithTimeout(w.ctx(), patience/2)
		got, err := log.Bundle(ctx, digest)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %q, %v, want %v", name, got, err, c.want)
		}
		cancel()
	}
}
