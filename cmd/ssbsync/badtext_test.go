package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/ssbsync/ssbsync/bundle"
	"github.com/ssbsync/ssbsync/sync/node"
)

// lines returns the messages of the data set, one JSON text each.
func (p *programs) lines() [][]byte {
	p.t.Helper()
	file, err := os.Open(p.data)
	if err != nil {
		p.t.Fatal(err)
	}
	defer file.Close()
	plain, err := bundle.NewZstdReader(file)
	if err != nil {
		p.t.Fatal(err)
	}
	defer plain.Close()
	text, err := io.ReadAll(plain)
	if err != nil {
		p.t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// edit changes a message as whoever holds the file could: by its text.
func (p *programs) edit(line []byte, from, to string) []byte {
	p.t.Helper()
	edited := regexp.MustCompile(from).ReplaceAll(line, []byte(to))
	if bytes.Equal(edited, line) {
		p.t.Fatalf("no %s in %s", from, line)
	}
	return edited
}

// TestBadText imports a file of messages with everything in it that people
// and liars put into such files: each bad line is named, the others are taken.
func TestBadText(t *testing.T) {
	p := newPrograms(t)
	lines := p.lines()
	bad := []struct {
		text []byte
		want string
	}{
		{[]byte("junk"), `not a JSON object: "junk"`},
		{lines[3][:len(lines[3])/2], "cut short"},
		{p.edit(lines[4], `"content":{`, `"content":{"x":"`+strings.Repeat("x", 9000)+`",`), "8192 UTF-16 units"},
		{p.edit(lines[5], `==\.sig`, `A=.sig`), "64 bytes"},
		{p.edit(lines[6], `"sequence":\d+`, `"sequence":7`), "sequence 7"},
		{bytes.Repeat([]byte("x"), 300_000), "longer than any message"},
		{append([]byte("{"), bytes.Repeat([]byte("x"), 300_000)...), "longer than any message"},
		{[]byte("[1,2]"), "not a JSON object"},
		{[]byte("{}"), "seven"},
		{[]byte{0, 1, 0xff}, "not a JSON object"},
	}
	text := []byte("\ufeff") // as some editors begin a file
	for i, line := range lines {
		if i < len(bad) {
			text = fmt.Appendf(text, "%s\r\n", bad[i].text)
		}
		text = append(append(text, line...), '\n')
	}
	file := filepath.Join(p.dir, "bad.jsonl")
	p.write(file, text)

	r := p.want(exitPartly, "--path", "a", "import", file)
	contains(t, r.stdout, fmt.Sprintf("imported %s messages (%s new, %d rejected)", grouped(int64(fixtures+len(bad))), grouped(fixtures), len(bad)))
	named := strings.Split(r.stderr, "\n")
	for i, b := range bad {
		where := fmt.Sprintf("warning: %s line %d: ", file, 2*i+1)
		if !slices.ContainsFunc(named, func(s string) bool { return strings.HasPrefix(s, where) && strings.Contains(s, b.want) }) {
			t.Errorf("nothing like %s…%s… in\n%s", where, b.want, r.stderr)
		}
	}
	p.wantWhole("a")

	var units []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + string(lines[0]))) {
		units = append(units, byte(u), byte(u>>8))
	}
	p.write(file, units)
	contains(t, p.want(exitFailed, "--path", "a", "import", file).stderr, "UTF-16")
	t.Logf("%d bad lines among %d", len(bad), len(lines))
}

// TestGap imports a file that lacks a message in the middle of a feed: what
// comes after it waits, and attaches when it arrives.
func TestGap(t *testing.T) {
	p := newPrograms(t)
	lines := p.lines()
	author := fmt.Appendf(nil, `"author":"%s"`, p.author(lines))
	var feed [][]byte
	for _, line := range lines {
		if bytes.Contains(line, author) {
			feed = append(feed, line)
		}
	}
	file := func(name string, parts ...[][]byte) string {
		path := filepath.Join(p.dir, name)
		p.write(path, append(bytes.Join(slices.Concat(parts...), []byte("\n")), '\n'))
		return path
	}
	r := p.want(exitDone, "--path", "a", "import", file("gap.jsonl", feed[:10], feed[12:]))
	contains(t, r.stdout, "(10 new, ", " waiting for earlier ones)")
	contains(t, r.stderr, "hint: feed ", " needs 11–12")
	contains(t, p.must("--path", "a", "status"), "waiting ")
	r = p.want(exitDone, "--path", "a", "import", file("rest.jsonl", feed[10:12]))
	contains(t, r.stdout, fmt.Sprintf("imported 2 messages (%d new)", len(feed)-10))
	lacks(t, p.must("--path", "a", "status"), "waiting ")
}

// author returns the identity of fixtures-2k.secret.
func (p *programs) author(lines [][]byte) string {
	p.t.Helper()
	secret := p.read(filepath.Join("..", "..", "testdata", "fixtures-2k.secret"))
	p.write(filepath.Join(p.dir, "author", "secret"), secret)
	if err := os.Chmod(filepath.Join(p.dir, "author", "secret"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	var who struct{ ID string }
	p.report(&who, "--path", "author", "whoami")
	if !bytes.Contains(bytes.Join(lines, nil), []byte(who.ID)) {
		p.t.Fatalf("%s wrote nothing", who.ID)
	}
	return who.ID
}

// TestForkedFeed lets an author whose home was restored from an early backup
// publish again: who holds the first branch is told of the fork, by whichever
// way the second one comes, and keeps what it has.
func TestForkedFeed(t *testing.T) {
	p := newPrograms(t)
	lines := p.lines()
	id := p.author(lines)
	backup := filepath.Join(p.dir, "backup.jsonl")
	p.write(backup, bytes.Join(lines[:1000], []byte("\n")))
	p.must("--path", "author", "--quiet", "import", backup)
	contains(t, p.want(exitFailed, "--path", "author", "publish", "--type", "post", "--text", "too early").stderr, "locked")
	p.must("--path", "author", "recover", "--done") // it is not
	p.must("--path", "author", "publish", "--type", "post", "--text", "again")
	medium := p.folder("medium")
	p.must("--path", "author", "export", medium)
	branch := p.must("--path", "author", "--json", "log")

	p.must("--path", "reader", "--quiet", "import", p.data)
	p.must("--path", "reader2", "--quiet", "import", p.data)
	p.write(filepath.Join(p.dir, "branch.jsonl"), []byte(branch))
	for home, source := range map[string]string{"reader": medium, "reader2": filepath.Join(p.dir, "branch.jsonl")} {
		r := p.want(exitPartly, "--path", home, "import", source)
		contains(t, r.stderr, "warning: feed "+id+" is forked at sequence ", "nothing more of it is accepted")
		if n := strings.Count(r.stderr, "is forked"); n != 1 {
			t.Errorf("said %d times:\n%s", n, r.stderr)
		}
		contains(t, p.must("--path", home, "status"), "forked      "+id)
		p.must("--path", home, "check", "--signatures")
		var status node.Status
		p.report(&status, "--path", home, "status")
		if status.Messages != fixtures {
			t.Errorf("%s: %d messages", home, status.Messages)
		}
	}

	// The author meets the first branch: the alarm, and the end of publishing.
	r := p.want(exitPartly, "--path", "author", "import", p.data)
	contains(t, r.stderr, "is forked")
	contains(t, p.run("--path", "author", "status").stderr, "your own feed is forked")
	r = p.want(exitFailed, "--path", "author", "publish", "--type", "post", "--text", "no")
	contains(t, r.stderr, "fork")
}
