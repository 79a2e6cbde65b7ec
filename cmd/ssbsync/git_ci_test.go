//go:build ci

package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// gitPatience is how long one command of git may take.
const gitPatience = 5 * time.Minute

// newGitMachine makes a machine on which git-ssb finds our server by its default
// settings. It gives up a connection whose handshake takes 5 seconds: a busy
// machine has more.
func newGitMachine(t testing.TB) *machine {
	return newMachine(t, map[string]any{"host": "127.0.0.1", "timers": map[string]any{"handshake": 120_000}})
}

// gitRepo is a git repository on a machine, whose remotes are in git-ssb.
type gitRepo struct {
	*machine
	dir  string
	refs map[string]map[string]string // what is published: URL, name, hash
}

// newGitRepo makes an empty repository.
func (m *machine) newGitRepo(name string) *gitRepo {
	m.t.Helper()
	r := &gitRepo{machine: m, dir: filepath.Join(m.home, name), refs: map[string]map[string]string{}}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	return r
}

// cloned clones a repository and compares it with the original.
func (r *gitRepo) cloned(m *machine, url, name string) *gitRepo {
	m.t.Helper()
	c := &gitRepo{machine: m, dir: filepath.Join(m.home, name), refs: r.refs}
	parent := &gitRepo{machine: m, dir: m.home}
	parent.git("clone", "-q", url, name)
	c.git("checkout", "-q", "main")
	c.same(r, "main", "main")
	return c
}

// gitPrograms is where git-ssb's programs are.
func gitPrograms(t testing.TB) string {
	return filepath.Join(interop(t, "git"), "node_modules", ".bin")
}

// gitCommand is git, or another program, with git-ssb in its path.
func (r *gitRepo) gitCommand(name string, args ...string) *exec.Cmd {
	cmd := r.command(r.dir, name, args...)
	cmd.Env = slices.DeleteFunc(cmd.Env, func(s string) bool { return strings.HasPrefix(s, "GIT") })
	cmd.Env = append(cmd.Env, "PATH="+gitPrograms(r.t)+":"+os.Getenv("PATH"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_EDITOR=false",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")
	return cmd
}

// try runs git and returns what it prints, which has no place for progress.
func (r *gitRepo) try(args ...string) (stdout, stderr string, err error) {
	r.t.Helper()
	cmd := r.gitCommand("git", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, 10*time.Second
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	kill := time.AfterFunc(gitPatience, func() { cmd.Process.Kill() })
	defer kill.Stop()
	err = cmd.Wait()
	var lines []string
	for line := range strings.Lines(errs.String()) {
		lines = append(lines, line[strings.LastIndexByte(strings.TrimRight(line, "\r\n"), '\r')+1:])
	}
	return out.String(), strings.Join(lines, ""), err
}

// git runs git, which must succeed, and returns what it prints. Where only the
// end of a connection failed, what came before counts; clone and pull do not keep
// that, but can be tried again.
func (r *gitRepo) git(args ...string) string {
	r.t.Helper()
	for range 20 {
		stdout, stderr, err := r.try(args...)
		if err != nil && !onlyClosing(stderr) {
			r.t.Fatalf("git %q: %v\n%s%s", args, err, stdout, stderr)
		}
		if err == nil || args[0] == "ssb" {
			return strings.TrimSpace(stdout)
		}
	}
	r.t.Fatalf("git %q never ends well", args)
	return ""
}

// onlyClosing reports whether a client of git-ssb did its work and then failed
// while it closed the connection, as it does with real ssb-servers too: if the
// last stream ends after close was called, npm packet-stream hands the end of
// that stream, which is no error, to the callbacks of close as one, and git-ssb
// throws it.
func onlyClosing(stderr string) bool {
	return strings.Contains(stderr, "no callback provided for muxrpc close") ||
		strings.Contains(stderr, "git-remote-ssb:61\n") // where it closes
}

// commit writes files and commits them.
func (r *gitRepo) commit(title string, files map[string]string) {
	r.t.Helper()
	for name, data := range files {
		path := filepath.Join(r.dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(data), 0o600)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", title)
}

// url returns the address of a remote.
func (r *gitRepo) url(remote string) string {
	r.t.Helper()
	return r.git("remote", "get-url", remote)
}

// published asks what a remote has.
func (r *gitRepo) published(remote string) map[string]string {
	r.t.Helper()
	refs := map[string]string{}
	for line := range strings.Lines(r.git("ls-remote", remote)) {
		if hash, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && name != "HEAD" {
			refs[name] = hash
		}
	}
	return refs
}

// push pushes branches and tags, with "+" by force, or deletes those that have
// ":" before the name, and fails unless the remote has exactly these and what
// it had. What the client ends with does not count: see onlyClosing.
func (r *gitRepo) push(remote string, specs ...string) {
	r.t.Helper()
	url := r.url(remote)
	if r.refs[url] == nil {
		r.refs[url] = r.published(remote) // a fork has those of its origin
	}
	for _, spec := range specs {
		name, deleted := strings.CutPrefix(spec, ":")
		name = r.git("rev-parse", "--symbolic-full-name", strings.TrimPrefix(name, "+"))
		if deleted {
			delete(r.refs[url], name)
		} else {
			r.refs[url][name] = r.git("rev-parse", name)
		}
	}
	_, stderr, err := r.try(append([]string{"push", remote}, specs...)...)
	got := r.published(remote)
	for name := range got {
		if strings.HasSuffix(name, "^{}") {
			delete(got, name)
		}
	}
	if !maps.Equal(got, r.refs[url]) {
		r.t.Fatalf("git push %v ended with %v, and the remote has %v, not %v\n%s", specs, err, got, r.refs[url], stderr)
	}
	if err != nil {
		r.t.Logf("git push %v ended with %v, but everything is published", specs, err)
	}
}

// same fails unless what a name stands for here is, to the last object, what
// another name stands for in the other repository, nothing is damaged, and the
// files are as they were committed.
func (r *gitRepo) same(other *gitRepo, name, otherName string) {
	r.t.Helper()
	objects, want := r.git("rev-list", "--objects", name, "--"), other.git("rev-list", "--objects", otherName, "--")
	if objects != want {
		r.t.Errorf("%s has %d objects, %s has %d there, and they are not the same", name, strings.Count(objects, "\n"), otherName, strings.Count(want, "\n"))
	}
	if out := r.git("fsck", "--full", "--strict", "--no-dangling"); out != "" {
		r.t.Errorf("git fsck: %s", out)
	}
	if out := r.git("status", "--porcelain"); out != "" {
		r.t.Errorf("git status: %s", out)
	}
}

// manyFiles are many small files, and some of a size, that hardly compress.
func manyFiles(seed byte) map[string]string {
	files := map[string]string{}
	for i := range 300 {
		files[fmt.Sprintf("many/%d/%d", i%7, i)] = fmt.Sprintf("%x", randomBlob(20, byte(i)))
	}
	for i, size := range []int{0, 1, 65_535, 65_536, 65_537, 150_000} {
		files[fmt.Sprintf("large/%d", i)] = string(randomBlob(size, seed+byte(i)))
	}
	return files
}

// TestGit runs npm git-ssb, as it comes, with our server: what is pushed is what
// a clone has, through branches, tags, force, deletions, packs of hundreds of
// objects and more commits than a message has room for.
func TestGit(t *testing.T) {
	m := newGitMachine(t)
	m.ours("--no-watch")
	r := m.newGitRepo("repo")
	r.commit("first", map[string]string{"README.md": "# demo\n", "lib/code.js": "var a = 1\n"})
	r.git("ssb", "create", "ssb", "demo")
	url := r.url("ssb")
	r.push("ssb", "main")
	r.commit("second", map[string]string{"lib/code.js": "var a = 2\n"})
	r.push("ssb", "main")
	r.git("checkout", "-q", "-b", "other")
	r.commit("on a branch", map[string]string{"other": "other\n"})
	r.push("ssb", "other")
	clone := r.cloned(m, url, "clone")
	clone.same(r, "origin/other", "other")

	r.git("tag", "light")
	r.git("tag", "-a", "-m", "annotated", "v1")
	r.git("branch", "gone")
	r.push("ssb", "light", "v1", "gone")
	r.push("ssb", ":gone", ":light")
	r.git("checkout", "-q", "main")
	r.git("reset", "-q", "--hard", "HEAD~1")
	r.commit("instead of the second", map[string]string{"lib/code.js": "var a = 3\n"})
	if _, _, err := r.try("push", "ssb", "main"); err == nil || r.published("ssb")["refs/heads/main"] != r.refs[url]["refs/heads/main"] {
		t.Errorf("pushed what is not ahead, without force: %v", err)
	}
	r.push("ssb", "+main")
	for i := range 60 {
		r.commit(fmt.Sprintf("commit %d, whose title takes its part of the 8 KiB that a message has", i), map[string]string{"count": fmt.Sprint(i)})
	}
	r.push("ssb", "main")
	r.commit("many files", manyFiles(1))
	r.push("ssb", "main")

	clone.git("pull", "-q", "--rebase")
	clone.same(r, "main", "main")
	clone.commit("in the clone", map[string]string{"clone": "clone\n"})
	clone.push("origin", "main")
	r.git("pull", "-q", "--ff-only", "ssb", "main")
	r.same(clone, "main", "main")
	again := r.cloned(m, url, "again")
	again.same(r, "origin/other", "other")
	again.same(r, "v1", "v1")
	t.Logf("%d objects in the clone", strings.Count(again.git("rev-list", "--objects", "--all"), "\n")+1)
}
