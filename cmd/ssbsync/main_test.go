package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// TestMain lets the test binary be the program, for scripts and for tests
// that kill it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ssbsync": mainForTest, "foreign": foreignForTest})
}

func mainForTest() {
	ctx, stop := untilSignal()
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// TestScripts runs the scripts of testdata/scripts, which use the program as
// people do.
func TestScripts(t *testing.T) {
	top, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(top, "testdata", "scripts"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TESTDATA", filepath.Join(top, "testdata"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("ssb_path", "")
			return os.MkdirAll(filepath.Join(env.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  codeCommand,
			"await": awaitCommand,
			"mode":  modeCommand,
		},
	})
}

// codeCommand runs a program that must end with the given exit code:
//
//	code 2 ssbsync nonsense
func codeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program [arguments]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// awaitCommand waits for a file:
//
//	await FILE
func awaitCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	name := ts.MkAbs(args[0])
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(name); err == nil {
			return
		}
		if time.Since(began) > 90*time.Second {
			ts.Fatalf("%s does not appear", name)
		}
	}
}

// modeCommand compares the permissions of a file, where there are any:
//
//	mode 600 FILE
func modeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] && runtime.GOOS != "windows" {
		ts.Fatalf("%s has mode %s", args[1], got)
	}
}

// foreignForTest is another program that serves on a unix socket and answers
// "version" as ssb-server does:
//
//	foreign SOCKET
func foreignForTest() {
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	mux := muxrpc.NewMux()
	mux.Sync("version", func(context.Context, *muxrpc.Call) (any, error) { return "20.4.1", nil })
	for {
		conn, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		muxrpc.NewSession(conn, muxrpc.Config{Handler: mux})
	}
}
