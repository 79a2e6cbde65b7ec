//go:build ci

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gitWeb is a running `git ssb web`.
type gitWeb struct {
	t       testing.TB
	address string
	client  http.Client
}

// web starts it for the repositories that the machine's server knows.
func (r *gitRepo) web() *gitWeb {
	r.t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(r.t))
	cmd := r.gitCommand(filepath.Join(gitPrograms(r.t), "git-ssb"), "web", address)
	cmd.Stderr = io.Discard
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	kill := time.AfterFunc(gitPatience, func() { cmd.Process.Kill() })
	defer kill.Stop()
	for lines := bufio.NewScanner(stdout); ; {
		if !lines.Scan() {
			r.t.Fatal("git ssb web did not start")
		}
		if strings.HasPrefix(lines.Text(), "Listening on ") {
			break
		}
	}
	go io.Copy(io.Discard, stdout)
	w := &gitWeb{t: r.t, address: "http://" + address}
	w.client.Timeout = gitPatience
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w
}

// link is where the server has something: an id and names below it.
func (w *gitWeb) link(parts ...string) string {
	link := w.address
	for _, part := range parts {
		link += "/" + url.PathEscape(part)
	}
	return link
}

func (w *gitWeb) read(res *http.Response, err error) (*http.Response, string) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res, string(body)
}

// page reads a page until it has every text: some follow what is published a
// moment later.
func (w *gitWeb) page(link string, texts ...string) string {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		res, body := w.read(w.client.Get(link))
		missing := ""
		for _, text := range texts {
			if !strings.Contains(body, text) {
				missing = text
			}
		}
		if res.StatusCode == http.StatusOK && missing == "" {
			return body
		}
		if time.Since(began) > blobPatience {
			w.t.Fatalf("%s: %s, without %q\n%s", link, res.Status, missing, body)
		}
	}
}

// post sends a form and returns the id of what it made.
func (w *gitWeb) post(link string, form map[string]string) string {
	w.t.Helper()
	values := url.Values{}
	for name, value := range form {
		values.Set(name, value)
	}
	res, body := w.read(w.client.PostForm(link, values))
	to, err := url.PathUnescape(strings.TrimPrefix(res.Header.Get("Location"), "/"))
	if res.StatusCode != http.StatusFound || err != nil {
		w.t.Fatalf("%s %v: %s, %v\n%s", link, form, res.Status, err, body)
	}
	return to
}

// TestGitWeb looks at repositories with `git ssb web` and the other commands,
// and opens and closes an issue there. Nobody but the recipients reads a private
// repository.
func TestGitWeb(t *testing.T) {
	m := newGitMachine(t)
	us := m.ours("--no-watch")
	r := m.newGitRepo("repo")
	r.commit("first", map[string]string{"README.md": "# heading\n", "lib/notes": "before\n"})
	r.git("ssb", "create", "ssb", "demo")
	r.commit("second", map[string]string{"lib/notes": "after <b>\n"})
	r.push("ssb", "main")
	w := r.web()
	id := strings.TrimPrefix(r.url("ssb"), "ssb://")

	w.page(w.link(), "demo", "created repo", "pushed to")
	w.page(w.link(id), "demo", "README.md", ">lib", "heading</h1>", "second")
	w.page(w.link(id, "tree", "main", "lib"), "notes")
	w.page(w.link(id, "blob", "main", "lib", "notes"), "after &lt;b&gt;")
	if got := w.page(w.link(id, "raw", "main", "lib", "notes")); got != "after <b>\n" {
		t.Errorf("the file is %q", got)
	}
	w.page(w.link(id, "commits", "main"), "first", "second")
	w.page(w.link(id, "commit", r.git("rev-parse", "main")), "second", "lib/notes", ">-before<", ">+after &lt;b&gt;<")
	w.page(w.link(id, "activity"), r.git("rev-parse", "main"), "created repo")
	w.page(w.link("search")+"?q=demo", "demo")
	w.page(w.link(us.ID), "demo")
	(&gitRepo{machine: m, dir: m.home}).git("clone", "-q", w.link(id), "http")
	(&gitRepo{machine: m, dir: m.home + "/http"}).same(r, "main", "main")

	issue := w.post(w.link(id), map[string]string{"action": "new-issue", "text": "it is broken"})
	w.page(w.link(issue), "it is broken", "Open")
	w.page(w.link(id, "issues"), "it is broken", "Issues (1)")
	if out := r.git("ssb", "issues"); !strings.HasPrefix(out, issue) || !strings.Contains(out, "it is broken") {
		t.Errorf("issues: %s", out)
	}
	w.post(w.link(issue), map[string]string{"action": "comment", "id": issue, "issue": issue, "repo": id, "text": "so what", "close": "1"})
	w.page(w.link(issue), "so what", "Closed")
	w.page(w.link(id, "issues"), "Issues (0)")
	if open, closed := r.git("ssb", "issues"), r.git("ssb", "issues", "--closed"); open != "" || !strings.HasPrefix(closed, issue) {
		t.Errorf("open: %q, closed: %q", open, closed)
	}

	r.git("ssb", "name", "renamed")
	w.page(w.link(id), "renamed")
	if out := r.git("ssb", "named", "^rena"); !strings.Contains(out, id+" renamed") {
		t.Errorf("named: %s", out)
	}
	if out := r.git("ssb", "authors"); !strings.Contains(out, us.ID) {
		t.Errorf("authors: %s", out)
	}
	if out := r.git("ssb", "log"); !strings.Contains(out, r.git("rev-parse", "main")[:8]+" second") {
		t.Errorf("log: %s", out)
	}

	r.git("ssb", "create", "hidden", "secret", "--private")
	r.push("hidden", "main")
	r.cloned(m, r.url("hidden"), "private")
	if text := m.cli("--json", "log", "--limit", "-1"); strings.Contains(text, `"secret"`) || strings.Count(text, ".box") < 2 {
		t.Error("the log has the name of a private repository in clear")
	}
}
