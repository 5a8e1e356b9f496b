package broker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	bundleChunk = 128 << 10

	// maxBundle is the largest archive that is kept.
	maxBundle = 12 << 20
)

// PutBundle stores an archive under its digest, as an object in the bucket
// "bundles" (NATS ADR-20). It may be called by a policy-admin. The same name can
// be written again by another one, so whoever reads it must compute the digest.
func (c *Conn) PutBundle(ctx context.Context, digest schemas.Digest, archive []byte) error {
	op := "storing bundle " + digest.Short()
	if err := checkSize(uint64(len(archive))); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	object := jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: string(digest)},
		Bucket:     "bundles",
		NUID:       nuid.Next(),
		Size:       uint64(len(archive)),
		ModTime:    time.Now().UTC(),
		Digest:     objectDigest(archive),
	}
	for rest := archive; len(rest) > 0; object.Chunks++ {
		chunk := rest[:min(len(rest), bundleChunk)]
		rest = rest[len(chunk):]
		if err := c.put(ctx, op, "$O.bundles.C."+object.NUID, chunk); err != nil {
			return err
		}
	}
	meta, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return c.put(ctx, op, bundleSubject(digest), meta)
}

func (c *Conn) put(ctx context.Context, op, subject string, body []byte) error {
	_, err := c.publish(ctx, schemas.Draft{Subject: subject, Body: body}, schemas.Expect{})
	return translate(op, err)
}

// Bundle returns the archive that is stored under digest, or an ErrNotFound. The
// caller must compute the digest of what it gets.
func (l *Log) Bundle(ctx context.Context, digest schemas.Digest) ([]byte, error) {
	op := "reading bundle " + digest.Short()
	meta, err := l.Last(ctx, bundleStore, bundleSubject(digest))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	var object jetstream.ObjectInfo
	if err := json.Unmarshal(meta.Body, &object); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", op, schemas.ErrInvalid, err)
	}
	if err := checkSize(object.Size); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	archive := make([]byte, 0, object.Size)
	chunks := l.Tail(bundleStore, "$O.bundles.C."+object.NUID, 1)
	err = chunks.ReadTo(ctx, meta.Seq, func(r schemas.Record) error {
		archive = append(archive, r.Body...)
		if uint64(len(archive)) >= object.Size {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("%s: %w: %d of %d bytes there", op, schemas.ErrUnavailable, len(archive), object.Size)
	}
	if got := objectDigest(archive); got != object.Digest {
		return nil, fmt.Errorf("%s: %w: stored with %s, is %s", op, schemas.ErrInvalid, object.Digest, got)
	}
	return archive, nil
}

func checkSize(size uint64) error {
	if size < 1 || size > maxBundle {
		return fmt.Errorf("%w: %d bytes, want 1 to %d", schemas.ErrInvalid, size, maxBundle)
	}
	return nil
}

func bundleSubject(digest schemas.Digest) string {
	return "$O.bundles.M." + base64.URLEncoding.EncodeToString([]byte(digest))
}

func objectDigest(b []byte) string {
	h := sha256.Sum256(b)
	return "SHA-256=" + base64.URLEncoding.EncodeToString(h[:])
}
