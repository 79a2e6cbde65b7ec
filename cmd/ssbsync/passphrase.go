package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// maxPassphrase bounds the size of a passphrase file, in bytes.
const maxPassphrase = 4096

func passphraseFlag() cli.Flag {
	return &cli.StringFlag{Name: "passphrase-file", Usage: "read the passphrase from this `FILE` instead of the terminal"}
}

// passphrase asks for a passphrase on the terminal, twice when it is a new one,
// or reads the only line of a file.
func (p *program) passphrase(ctx context.Context, file string, isNew bool) (string, error) {
	if file != "" {
		return passphraseIn(file)
	}
	in, ok := p.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usageError("no terminal to ask for the passphrase: give --passphrase-file FILE")
	}
	first, err := p.askHidden(ctx, in, "passphrase: ")
	if err != nil || !isNew {
		return first, err
	}
	if first == "" {
		return "", errors.New("the passphrase is empty")
	}
	second, err := p.askHidden(ctx, in, "the same again: ")
	if err == nil && first != second {
		err = errors.New("the two passphrases differ")
	}
	return first, err
}

// passphraseIn reads the only line of a file.
func passphraseIn(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	switch {
	case len(b) > maxPassphrase:
		return "", fmt.Errorf("reading the passphrase: %s is larger than %d bytes", name, maxPassphrase)
	case line == "":
		return "", fmt.Errorf("reading the passphrase: %s is empty", name)
	case strings.ContainsAny(line, "\r\n"):
		return "", fmt.Errorf("reading the passphrase: %s has more than one line", name)
	}
	return line, nil
}

// askHidden reads a line from the terminal without showing it. When ctx ends
// first, the terminal shows again what is typed.
func (p *program) askHidden(ctx context.Context, in *os.File, prompt string) (string, error) {
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(p.stderr, prompt)
	defer fmt.Fprintln(p.stderr)
	type answer struct {
		line []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() { // ends with the process if nobody answers
		line, err := term.ReadPassword(fd)
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			return "", fmt.Errorf("reading the passphrase: %w", a.err)
		}
		return string(a.line), nil
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}
