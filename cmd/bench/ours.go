package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/node"
)

// everyone is the config of a node that replicates every feed it meets and
// listens on loopback only.
const everyone = `{"host": "127.0.0.1", "port": 0, "local": false, "allowPrivate": true, "ssbsync": {"replicate": "all", "watch": false}}`

// ssbsync runs the program with a home folder.
func (b *bench) ssbsync(out io.Writer, home string, args ...string) (usage, error) {
	return b.run(out, b.dir, b.program, append([]string{"--path", b.path(home)}, args...)...)
}

// findCodecs asks the program by which codecs it exports.
func (b *bench) findCodecs() ([]string, error) {
	var help bytes.Buffer
	if _, err := b.run(&help, b.dir, b.program, "export", "--help"); err != nil {
		return nil, err
	}
	flag := regexp.MustCompile(`--codec .*`).FindString(help.String())
	if flag == "" {
		return []string{""}, nil // the only one
	}
	codecs := []string{"jsonl"}
	if strings.Contains(flag, "compact") {
		codecs = append(codecs, "compact")
	}
	return codecs, nil
}

// codecName is how the tables call a codec.
func codecName(codec string) string {
	if codec == "" {
		return "jsonl"
	}
	return codec
}

// imports takes the data set in, exports it and takes in what was exported:
// each into an empty store, and durably.
func (b *bench) imports() error {
	b.say("importing %d messages of %d feeds, %d times", b.set.messages, len(b.set.authors), b.options.rounds)
	lines, err := b.compare(func(round int) (usage, error) { return b.importFresh(b.set.path, round > 0) })
	if err != nil {
		return err
	}
	b.add(rowLines, lines)
	disk, err := sizeOf(b.path("full", "ssbsync"), "")
	if err != nil {
		return err
	}
	b.add(rowStore, measure{bytes: disk})
	for _, codec := range b.codecs {
		if err := b.exportAndImport(codec); err != nil {
			return err
		}
	}
	return nil
}

// importFresh imports into an empty home. The first one is kept as "full".
func (b *bench) importFresh(src string, remove bool) (usage, error) {
	home := "full"
	if remove {
		home = "again"
		defer os.RemoveAll(b.path(home))
	}
	var report bytes.Buffer
	u, err := b.ssbsync(&report, home, "--json", "--quiet", "import", src)
	if err != nil {
		return u, err
	}
	var counts struct{ New int64 }
	if err := json.Unmarshal(report.Bytes(), &counts); err != nil || counts.New != b.set.messages {
		return u, fmt.Errorf("importing %s: %d messages of %d came in (%v): %s", src, counts.New, b.set.messages, err, report.String())
	}
	return u, nil
}

func (b *bench) exportAndImport(codec string) error {
	b.say("exporting with codec %s, and importing that", codecName(codec))
	export, err := repeat(b.options.rounds, func() (usage, error) {
		folder := b.path("medium-" + codec)
		if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o700)); err != nil {
			return usage{}, err
		}
		args := []string{"--quiet", "export", folder, "--no-have"}
		if codec != "" {
			args = append(args, "--codec", codec)
		}
		return b.ssbsync(io.Discard, "full", args...)
	})
	if err != nil {
		return err
	}
	bytes, err := sizeOf(b.path("medium-"+codec), ".ssb.zst")
	if err != nil {
		return err
	}
	b.sizes = append(b.sizes, size{name: "bundle, codec " + codecName(codec), bytes: bytes, took: export})
	in, err := b.compare(func(int) (usage, error) { return b.importFresh(b.path("medium-"+codec), true) })
	if err != nil {
		return err
	}
	b.add(rowBundle+codecName(codec), in)
	b.add("export to a folder, codec "+codecName(codec), measure{usage: export, messages: b.set.messages})
	return nil
}

// reads measures how long commands take that read.
func (b *bench) reads() error {
	rounds := 2*b.options.rounds + 1
	b.say("starting and reading")
	for _, r := range []struct {
		name     string
		rounds   int
		messages int64
		args     []string
	}{
		{rowLog, b.options.rounds, b.set.messages, []string{"--json", "log"}},
		{rowFeed, b.options.rounds, 0, []string{"--json", "hist", b.set.longest.String()}},
		{rowStart, rounds, 0, []string{"whoami"}},
	} {
		took, err := repeat(r.rounds, func() (usage, error) {
			lines := &lineCounter{}
			u, err := b.ssbsync(lines, "full", r.args...)
			if err == nil && r.messages > 0 && lines.n != r.messages {
				err = fmt.Errorf("%s: %d messages of %d", r.name, lines.n, r.messages)
			}
			return u, err
		})
		if err != nil {
			return err
		}
		b.add(r.name, measure{usage: took, messages: r.messages})
	}
	return nil
}

// lineCounter counts lines.
type lineCounter struct{ n int64 }

func (c *lineCounter) Write(p []byte) (int, error) {
	c.n += int64(bytes.Count(p, []byte("\n")))
	return len(p), nil
}

// server is a running server of ours.
type server struct {
	*process
	session *muxrpc.Session
}

// serve starts a server and returns when it answers.
func (b *bench) serve(home string) (*server, error) {
	if err := errors.Join(os.MkdirAll(b.path(home), 0o700), os.WriteFile(b.path(home, "config"), []byte(everyone), 0o600)); err != nil {
		return nil, err
	}
	p, err := b.start(io.Discard, b.dir, b.program, "--path", b.path(home), "server", "--log-level", "error")
	if err != nil {
		return nil, err
	}
	s := &server{process: p}
	for s.session == nil {
		if s.session, err = node.Dial(b.ctx, b.path(home)); errors.Is(err, node.ErrNobody) && time.Since(p.began) < time.Minute {
			err = pause(b.ctx, 10*time.Millisecond)
		}
		if err != nil {
			return nil, errors.Join(err, s.end())
		}
	}
	return s, nil
}

// end stops the server.
func (s *server) end() error {
	if s.session != nil {
		s.session.Close()
	}
	_, err := s.stop()
	return err
}

// network lets an empty server replicate from a full one, over loopback, both
// on the same processors.
func (b *bench) network() (err error) {
	b.say("replicating from one server to another, %d times", b.options.rounds)
	full, err := b.serve("full")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, full.end()) }()
	if err := full.settled(b.ctx, b.set.messages); err != nil {
		return err
	}
	disk, err := sizeOf(b.path("full", "ssbsync"), "")
	if err != nil {
		return err
	}
	net, err := b.compare(func(int) (usage, error) { return b.replicate(full) })
	if err != nil {
		return err
	}
	b.add(rowNetwork, net)
	asked, err := repeat(2*b.options.rounds+1, func() (usage, error) { return b.ssbsync(io.Discard, "full", "whoami") })
	if err != nil {
		return err
	}
	b.add(rowAsk, measure{usage: asked})
	b.add(rowIndexed, measure{bytes: disk})
	return nil
}

// replicate lets an empty server take everything from a full one. The memory
// is that of the receiver, the processors' time that of both.
func (b *bench) replicate(full *server) (u usage, err error) {
	defer os.RemoveAll(b.path("empty"))
	empty, err := b.serve("empty")
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, empty.end()) }()
	var address string
	answer, err := full.session.Async(b.ctx, "getAddress")
	if err == nil {
		err = json.Unmarshal(answer, &address)
	}
	if err != nil {
		return u, fmt.Errorf("asking for the address of a server: %w", err)
	}
	began, cpu := time.Now(), cpuOf(full.cmd.Process.Pid)+cpuOf(empty.cmd.Process.Pid)
	if _, err := empty.session.Async(b.ctx, "gossip.connect", address); err != nil {
		return u, err
	}
	if err := empty.has(b.ctx, b.set.messages); err != nil {
		return u, err
	}
	u = usage{wall: time.Since(began), cpu: cpuOf(full.cmd.Process.Pid) + cpuOf(empty.cmd.Process.Pid) - cpu}
	if err := empty.settled(b.ctx, b.set.messages); err != nil {
		return u, err
	}
	u.anon = empty.peak.Load()
	return u, nil
}

// position asks how many messages are there and how many are indexed.
func (s *server) position(ctx context.Context) (stored, indexed int64, err error) {
	var progress struct {
		Indexes struct{ Current, Target int64 }
	}
	answer, err := s.session.Async(ctx, "progress")
	if err == nil {
		err = json.Unmarshal(answer, &progress)
	}
	return progress.Indexes.Target, progress.Indexes.Current, err
}

// patience is how long nothing may change before a server is given up.
const patience = 5 * time.Minute

// has returns when so many messages are stored.
func (s *server) has(ctx context.Context, messages int64) error {
	return s.until(ctx, messages, func(stored, _ int64) int64 { return stored })
}

// settled returns when so many messages are stored and the indexes know them.
func (s *server) settled(ctx context.Context, messages int64) error {
	return s.until(ctx, messages, func(_, indexed int64) int64 { return indexed })
}

// until asks again and again until what counts is what it should be.
func (s *server) until(ctx context.Context, messages int64, counts func(stored, indexed int64) int64) error {
	for last, since := int64(-1), time.Now(); ; {
		stored, indexed, err := s.position(ctx)
		if err != nil {
			return err
		}
		now := counts(stored, indexed)
		switch {
		case now >= messages:
			return nil
		case now != last:
			last, since = now, time.Now()
		case time.Since(since) > patience:
			return fmt.Errorf("nothing happens any more after %d of %d messages", now, messages)
		}
		if err := pause(ctx, sampling); err != nil {
			return err
		}
	}
}

// sizeOf adds up the files below a folder whose names end so.
func sizeOf(dir, suffix string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.HasSuffix(path, suffix) {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
