package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/message"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// sampleSize is how many signatures std verify-only verifies at most; of larger
// sets the time is that of the sample, scaled.
const sampleSize = 100_000

// dataSet is what all programs have to take in.
type dataSet struct {
	path     string // lines of {key, value, timestamp}, or the same as .zst
	messages int64
	authors  []string // ids, sorted
	raw      int64    // bytes of all values as compact JSON
	longest  refs.Feed
	ofOne    int64    // messages of the longest feed
	sample   []signed // the first messages
}

// signed is a signature that can be verified without parsing anything.
type signed struct {
	key  ed25519.PublicKey
	text []byte
	sig  []byte
}

// readData reads a data set. Each line of it is written to lines, and each
// value to values, on a line of its own; either may be io.Discard.
func readData(ctx context.Context, path string, lines, values io.Writer) (*dataSet, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var src io.Reader = file
	if strings.HasSuffix(path, ".zst") {
		plain, err := bundle.NewZstdReader(file)
		if err != nil {
			return nil, err
		}
		defer plain.Close()
		src = plain
	}
	set := &dataSet{path: path}
	feeds := map[refs.Feed]int64{}
	scan := bufio.NewScanner(src)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() && ctx.Err() == nil {
		if len(bytes.TrimSpace(scan.Bytes())) == 0 {
			continue
		}
		if err := set.add(scan.Bytes(), feeds, lines, values); err != nil {
			return nil, fmt.Errorf("%s: message %d: %w", path, set.messages+1, err)
		}
	}
	if err := errors.Join(ctx.Err(), scan.Err()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if set.messages == 0 {
		return nil, fmt.Errorf("%s: no messages", path)
	}
	for feed, n := range feeds {
		set.authors = append(set.authors, feed.String())
		if n > set.ofOne || n == set.ofOne && feed.Compare(set.longest) < 0 {
			set.longest, set.ofOne = feed, n
		}
	}
	slices.Sort(set.authors)
	return set, nil
}

func (s *dataSet) add(line []byte, feeds map[refs.Feed]int64, lines, values io.Writer) error {
	value := ecmajson.Get(line, "value")
	if value == nil {
		return errors.New("is no object with a value")
	}
	value, err := ecmajson.Compact(value)
	if err != nil {
		return err
	}
	fields, err := message.Fields(value)
	if err != nil {
		return err
	}
	feeds[fields.Feed]++
	s.messages++
	s.raw += int64(len(value))
	if len(s.sample) < sampleSize {
		m, err := signatureOf(fields.Feed, value)
		if err != nil {
			return err
		}
		s.sample = append(s.sample, m)
	}
	_, err = lines.Write(append(bytes.Clone(line), '\n'))
	_, err2 := values.Write(append(value, '\n'))
	return errors.Join(err, err2)
}

// signatureOf takes a value apart into what was signed and the signature.
func signatureOf(feed refs.Feed, value []byte) (signed, error) {
	text, err := ecmajson.Indent(value)
	if err != nil {
		return signed{}, err
	}
	const before = ",\n  \"signature\": \""
	cut := bytes.LastIndex(text, []byte(before))
	if cut < 0 {
		return signed{}, errors.New("has no signature")
	}
	encoded, _, _ := bytes.Cut(text[cut+len(before):], []byte(".sig"))
	sig, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil {
		return signed{}, fmt.Errorf("signature: %w", err)
	}
	return signed{feed[:], append(bytes.Clone(text[:cut]), "\n}"...), sig}, nil
}

// verify is std verify-only: crypto/ed25519 over what was signed, on all cores.
// Nothing that brings messages in by verifying one after the other can be
// faster.
func (s *dataSet) verify(ctx context.Context) (usage, error) {
	const step = 64
	var next, bad atomic.Int64
	var group sync.WaitGroup
	began, cpu := time.Now(), ownCPU()
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for ctx.Err() == nil {
				end := next.Add(step)
				if end-step >= int64(len(s.sample)) {
					return
				}
				for _, m := range s.sample[end-step : min(end, int64(len(s.sample)))] {
					if !ed25519.Verify(m.key, m.text, m.sig) {
						bad.Add(1)
					}
				}
			}
		})
	}
	group.Wait()
	if n := bad.Load(); n > 0 {
		return usage{}, fmt.Errorf("%s: %d signatures are bad", s.path, n)
	}
	scale := float64(s.messages) / float64(len(s.sample))
	return usage{wall: scaled(time.Since(began), scale), cpu: scaled(ownCPU()-cpu, scale)}, ctx.Err()
}

func scaled(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }

// findData says where the data set is: what the user named or, without that,
// in the folder that SSBSYNC_DATA names, else the small one of the repository.
func findData(named, top string) string {
	dir := os.Getenv("SSBSYNC_DATA")
	switch info, err := os.Stat(dir); {
	case named != "":
		return named
	case dir == "":
		return filepath.Join(top, "testdata", "fixtures-2k.jsonl.zst")
	case err == nil && info.IsDir():
		return filepath.Join(dir, "fixtures-100k.jsonl.zst")
	}
	return dir
}
