package muxrpc_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"testing"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
)

// benchMux has sources of messages and of blob chunks.
func benchMux() *muxrpc.Mux {
	m := testMux()
	message := json.RawMessage(`{"key":"` + string(make700()) + `"}`)
	chunk := make([]byte, 64<<10)
	m.Source("messages", pump(message))
	m.Source("chunks", pump(chunk))
	return m
}

func make700() []byte {
	b := make([]byte, 700)
	for i := range b {
		b[i] = 'm'
	}
	return b
}

// pump sends v as often as the first argument says.
func pump(v any) muxrpc.Serve {
	return func(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
		n := 0
		if err := c.DecodeArgs(&n); err != nil {
			return err
		}
		for range n {
			if err := st.Send(ctx, v); err != nil {
				return err
			}
		}
		return nil
	}
}

func BenchmarkAsync(b *testing.B) {
	client, _ := pair(b, muxrpc.Config{Handler: benchMux()})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Async(b.Context(), "nested.sub"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAsyncParallel(b *testing.B) {
	client, _ := pair(b, muxrpc.Config{Handler: benchMux()})
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.Async(b.Context(), "nested.sub"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchSource(b *testing.B, client *muxrpc.Session, method string, size int64) {
	b.ReportAllocs()
	b.SetBytes(size)
	st, err := client.Source(b.Context(), method, b.N)
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; ; n++ {
		if _, err := st.Recv(b.Context()); err == io.EOF {
			break
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSourcePipe(b *testing.B) {
	for _, c := range []struct {
		method string
		size   int64
	}{{"messages", 710}, {"chunks", 64 << 10}} {
		b.Run(c.method, func(b *testing.B) {
			client, _ := pair(b, muxrpc.Config{Handler: benchMux()})
			benchSource(b, client, c.method, c.size)
		})
	}
}

func BenchmarkSourceTCP(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	mine := muxrpc.NewSession(client, muxrpc.Config{})
	theirs := muxrpc.NewSession(server, muxrpc.Config{Handler: benchMux()})
	benchSource(b, mine, "messages", 710)
	mine.Close()
	theirs.Wait()
}
