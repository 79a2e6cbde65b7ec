//go:build ci

package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// id is who the machine's node is.
func (m *machine) id() string {
	m.t.Helper()
	var who struct{ ID string }
	if err := json.Unmarshal([]byte(m.cli("--json", "whoami")), &who); err != nil {
		m.t.Fatal(err)
	}
	return who.ID
}

// newGitProject makes a repository with a branch and publishes it.
func newGitProject(m *machine) *gitRepo {
	m.t.Helper()
	r := m.newGitRepo("project")
	r.commit("first", map[string]string{"README.md": "# project\n", "large": string(randomBlob(100_000, 1))})
	r.git("ssb", "create", "ssb", "project")
	r.git("checkout", "-q", "-b", "other")
	r.commit("on a branch", map[string]string{"branch": "branch\n"})
	r.git("checkout", "-q", "main")
	r.push("ssb", "main", "other")
	return r
}

// forked makes a fork of what a clone is of, with a commit, asks for it to be
// pulled, and returns the fork's address.
func (r *gitRepo) forked(upstream string) string {
	r.t.Helper()
	r.git("ssb", "fork", "fork")
	r.git("checkout", "-q", "-b", "feature")
	r.commit("a feature", map[string]string{"feature": string(randomBlob(10_000, 2))})
	r.push("fork", "feature")
	r.git("ssb", "pull-request", "-b", strings.TrimPrefix(upstream, "ssb://")+":main", "-h", "fork:feature", "-m", "please pull this")
	return r.url("fork")
}

// merged looks for the request, pulls what it asks for and publishes it.
func (r *gitRepo) merged(author, fork string, from *gitRepo) {
	r.t.Helper()
	if out := r.git("ssb", "prs"); !strings.Contains(out, "please pull this") || !strings.Contains(out, fork+":feature") {
		r.t.Errorf("pull requests: %s", out)
	}
	if out := r.git("ssb", "forks"); !strings.Contains(out, fork) {
		r.t.Errorf("forks: %s", out)
	}
	r.git("pull", "-q", "--ff-only", fork, "feature")
	r.same(from, "main", "feature")
	r.push("ssb", "main")
	if out := r.git("ssb", "authors"); !strings.Contains(out, author) {
		r.t.Errorf("authors: %s", out)
	}
}

// TestGitOverNetwork clones, at one node, what was pushed at another one that
// it follows, pushes to a fork, and the first pulls from there.
func TestGitOverNetwork(t *testing.T) {
	a, b := newGitMachine(t), newGitMachine(t)
	ours, theirs := a.ours("--no-watch"), b.ours("--no-watch")
	b.cli("follow", ours.ID)
	a.cli("follow", theirs.ID)
	b.cli("connect", ours.Address)
	project := newGitProject(a)
	url := project.url("ssb")
	eventually(t, "the project", a.clock(), b.clock)
	clone := project.cloned(b, url, "clone")
	clone.same(project, "origin/other", "other")

	fork := clone.forked(url)
	eventually(t, "the fork", b.clock(), a.clock)
	project.merged(theirs.ID, fork, clone)
	eventually(t, "what was merged", a.clock(), b.clock)
	clone.git("checkout", "-q", "main")
	clone.git("pull", "-q", "--ff-only")
	clone.same(project, "main", "main")
}

// carry takes a stick from one machine to another, and back and forth again
// until what the first published is there, with all blobs that the first has.
// One round does when the blobs go with the messages; otherwise the next brings
// those that the messages make the other want.
func carry(from, to *machine, stick string) {
	from.t.Helper()
	want, rounds := from.clock(), 0
	blobUntil(from.t, "messages and blobs over the stick", func() bool {
		rounds++
		from.cli("sync", stick)
		to.cli("sync", stick)
		have, blobs := to.clock(), to.cli("blobs", "ls")
		for feed, seq := range want {
			if have[feed] < seq {
				return false
			}
		}
		for id := range strings.Lines(from.cli("blobs", "ls")) {
			if !strings.Contains(blobs, id) {
				return false
			}
		}
		return true
	})
	from.t.Logf("all is there after %d rounds", rounds)
}

// TestGitOverStick is the same with a machine that has no network: all goes
// over a stick.
func TestGitOverStick(t *testing.T) {
	a, b := newGitMachine(t), newGitMachine(t)
	a.ours("--no-watch")
	theirs := b.ours("--no-watch")
	b.cli("follow", a.id())
	a.cli("follow", theirs.ID)
	stick := t.TempDir()
	a.cli("enroll", stick)
	project := newGitProject(a)
	url := project.url("ssb")
	carry(a, b, stick)
	clone := project.cloned(b, url, "clone")
	clone.same(project, "origin/other", "other")

	fork := clone.forked(url)
	carry(b, a, stick)
	project.merged(theirs.ID, fork, clone)
	carry(a, b, stick)
	clone.git("checkout", "-q", "main")
	clone.git("pull", "-q", "--ff-only")
	clone.same(project, "main", "main")
}
