package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ssbsync/ssbsync/"

// levels is the house from the ground up: a package imports only packages of
// levels before its own.
var levels = [][]string{
	{"spec/ecmajson", "spec/refs", "spec/muxrpc", "store/durable", "watch", "watch/desktop"},
	{"spec/keys", "spec/multiserver", "sync/vector", "store/blobs", "bundle/compact"},
	{"spec/message", "spec/privatebox", "spec/envelope", "spec/secretstream", "bundle", "sync/ebt", "sync/space", "sync/views/mapfilter"},
	{"store"},
	{"sync/graph", "sync/ingest", "sync/views"},
	{"sync/history", "sync/blobs", "sync/lan", "sync/stick"},
	{"sync/gossip"},
	{"sync/node"},
	{"cmd/ssbsync", "cmd/bench"},
}

// entrances says where each third-party module enters the program. Packages
// of golang.org/x are an extension of the standard library and free for all.
var entrances = map[string]string{
	"go.etcd.io/bbolt":                        "store",
	"github.com/klauspost/compress":           "bundle",
	"github.com/fsnotify/fsnotify":            "watch",
	"github.com/urfave/cli/v2":                "cmd/ssbsync",
	"github.com/vbauerster/mpb/v8":            "cmd/ssbsync",
	"github.com/oasisprotocol/curve25519-voi": "spec/keys",
	"github.com/coder/websocket":              "sync/gossip",
	"filippo.io/age":                          "cmd/ssbsync",
	"github.com/godbus/dbus/v5":               "watch/desktop",
}

// TestLayering keeps imports going downward and third-party modules at their
// one entrance.
func TestLayering(t *testing.T) {
	rank := map[string]int{}
	for i, level := range levels {
		for _, pkg := range level {
			rank[pkg] = i
		}
	}
	checked := 0
	for file, imports := range sourceImports(t) {
		pkg := path.Dir(file)
		level, known := rank[pkg]
		if !known {
			t.Errorf("%s: package %s has no level in layering_test.go", file, pkg)
			continue
		}
		checked++
		for _, imp := range imports {
			if own, ok := strings.CutPrefix(imp, module); ok {
				if low, known := rank[own]; !known || low >= level {
					t.Errorf("%s: imports %s, which is not below it", file, own)
				}
				continue
			}
			checkEntrance(t, file, pkg, imp)
		}
	}
	t.Logf("checked the imports of %d files in %d levels", checked, len(levels))
	if checked < 20 {
		t.Errorf("only %d files were found", checked)
	}
}

func checkEntrance(t *testing.T, file, pkg, imp string) {
	t.Helper()
	if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") || strings.HasPrefix(imp, "golang.org/x/") {
		return
	}
	for mod, home := range entrances {
		if imp == mod || strings.HasPrefix(imp, mod+"/") {
			if pkg != home {
				t.Errorf("%s: %s enters only at %s", file, mod, home)
			}
			return
		}
	}
	t.Errorf("%s: %s has no entrance in layering_test.go", file, imp)
}

// sourceImports parses the imports of every Go file of the program that is
// not a test, by path relative to the top.
func sourceImports(t *testing.T) map[string][]string {
	t.Helper()
	top := filepath.Join("..", "..")
	found := map[string][]string{}
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "internal" || name != "." && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, filepath.FromSlash(name)), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[name] = append(found[name], imp)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestTopLevel keeps the top of the repository to what a newcomer can take in.
func TestTopLevel(t *testing.T) {
	allowed := map[string]bool{"cmd": true, "bundle": true, "sync": true, "store": true, "watch": true, "spec": true,
		"testdata": true, "go.mod": true, "go.sum": true, "README.md": true, "LICENSE": true}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !allowed[name] && !strings.HasPrefix(name, ".") && !ignored(name) {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}

// ignored names what a build may leave at the top (see .gitignore).
func ignored(name string) bool {
	return name == "ssbsync" || name == "dist" || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof")
}
