package durable

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	stepLen   = 8 << 20 // bytes between two fsyncs: a stick's progress is true this often
	bufferLen = 256 << 10
)

// writeFile is WriteFile.
func writeFile(root *os.Root, name string, o Options, write func(io.Writer) error) (res Result, err error) {
	if !o.Replace {
		if _, err := root.Lstat(name); err == nil {
			return res, fmt.Errorf("writing %s: %w", name, fs.ErrExist)
		}
	}
	temp := o.Temp
	if temp == "" {
		temp = tempName(name)
	}
	if res, err = writeTemp(root, temp, o, write); err != nil {
		return Result{}, fmt.Errorf("writing %s: %w", name, err)
	}
	if err := publish(root, temp, name, o); err != nil {
		return Result{}, fmt.Errorf("writing %s: %w", name, err)
	}
	return res, nil
}

// tempName makes up a name in the same folder. It begins with a dot so that
// nobody takes it for a finished file.
func tempName(name string) string {
	var random [8]byte
	rand.Read(random[:])
	dir, base := filepath.Split(name)
	return dir + "." + base + "." + hex.EncodeToString(random[:]) + ".part"
}

// writeTemp writes the temporary file, and removes it again unless it is whole
// and on the medium.
func writeTemp(root *os.Root, temp string, o Options, write func(io.Writer) error) (res Result, err error) {
	perm := o.Perm
	if perm == 0 {
		perm = 0o644
	}
	f, err := root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return res, err
	}
	done := false
	defer func() {
		if !done {
			f.Close()
			root.Remove(temp)
		}
	}()
	if res, err = fill(f, o, write); err != nil {
		return res, err
	}
	if o.Verify {
		if res.Verified, err = verify(f, res, o); err != nil {
			return res, err
		}
	}
	if err := o.check("close", f); err != nil {
		return res, err
	}
	// On some network file systems errors of earlier writes show up here.
	if err := f.Close(); err != nil {
		return res, err
	}
	done = true
	return res, nil
}

// fill writes the content in steps that each reach the medium.
func fill(f *os.File, o Options, write func(io.Writer) error) (Result, error) {
	w := &stepWriter{f: f, o: o, sum: sha256.New()}
	buffer := bufio.NewWriterSize(w, bufferLen)
	if err := write(buffer); err != nil {
		return Result{}, err
	}
	if err := buffer.Flush(); err != nil {
		return Result{}, err
	}
	if err := w.sync(); err != nil {
		return Result{}, err
	}
	res := Result{Size: w.written}
	w.sum.Sum(res.SHA256[:0])
	return res, nil
}

// stepWriter writes to a file and syncs it every stepLen bytes.
type stepWriter struct {
	f       *os.File
	o       Options
	sum     hash.Hash
	written int64
	pending int // bytes since the last sync
}

// Write implements io.Writer.
func (w *stepWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if err := w.o.check("write", w.f); err != nil {
			return n, err
		}
		m, err := w.f.Write(p[:min(len(p), stepLen-w.pending)])
		w.sum.Write(p[:m])
		n, p = n+m, p[m:]
		w.written += int64(m)
		w.pending += m
		if err != nil {
			return n, err
		}
		if w.pending < stepLen {
			continue
		}
		if err := w.sync(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// sync makes sure that what was written is on the medium, and reports it.
func (w *stepWriter) sync() error {
	if err := w.o.check("sync", w.f); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	w.pending = 0
	if w.o.Progress != nil {
		w.o.Progress(w.written)
	}
	return nil
}

// verify reads the file back, if that can be made to come from the medium.
func verify(f *os.File, res Result, o Options) (bool, error) {
	if err := o.check("verify", f); err != nil {
		return false, err
	}
	if !DropCache(f) {
		return false, nil
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(f, 0, res.Size+1))
	if err != nil {
		return false, fmt.Errorf("reading back: %w", err)
	}
	if n != res.Size || !bytes.Equal(sum.Sum(nil), res.SHA256[:]) {
		return false, ErrDiffers
	}
	return true, nil
}

// publish gives the finished file its name. If it cannot be made sure that the
// name is on the medium, a new file is taken back.
func publish(root *os.Root, temp, name string, o Options) error {
	err := o.check("rename", nil)
	if err == nil {
		err = rename(root, temp, name, o.Replace)
	}
	if err != nil {
		root.Remove(temp)
		return err
	}
	if err = o.check("syncdir", nil); err == nil {
		err = syncDirs(root, temp, name)
	}
	if err != nil && !o.Replace {
		root.Remove(name)
	}
	return err
}

// check lets tests fail a step.
func (o *Options) check(step string, f *os.File) error {
	if o.fault == nil {
		return nil
	}
	return o.fault(step, f)
}
