package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// fullOutput takes nothing.
type fullOutput struct{}

func (fullOutput) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestFullOutput: what a command could not print is an error of the command.
func TestFullOutput(t *testing.T) {
	p := newPrograms(t)
	p.must("--path", "from", "--quiet", "import", p.data)
	medium := p.folder("medium")
	p.must("--path", "from", "--quiet", "export", medium)
	home := filepath.Join(p.dir, "from")
	bundle, err := os.ReadFile(p.onlyBundle(medium))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"status"}, {"inspect", medium}, {"verify", medium}, {"cat", medium}, {"verify", "-"}, {"cat", "-"}, {"sync", medium},
		{"export", medium}, {"export", "-"}, {"log"}, {"--json", "status"}, {"--help"}, {"recover"},
	} {
		var stderr bytes.Buffer
		code := run(t.Context(), append([]string{"ssbsync", "--path", home}, args...), bytes.NewReader(bundle), fullOutput{}, &stderr)
		if code != exitFailed || stderr.String() != "ssbsync: standard output: no space left\n" {
			t.Errorf("%v: exit code %d: %s", args, code, &stderr)
		}
	}
}
