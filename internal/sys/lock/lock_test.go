package lock

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestOneOpenFileHasTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	first, second := open(), open()
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	if err := Try(second); !errors.Is(err, ErrHeld) {
		t.Errorf("the second got %v", err)
	}
	first.Close()
	if err := Try(second); err != nil {
		t.Errorf("after the first was closed: %v", err)
	}
}

func TestLockIsPassedOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	here, there, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := errors.Join(Try(first), Send(there, first)); err != nil {
		t.Fatal(err)
	}
	there.Close()
	first.Close()
	held, err := Receive(here)
	if err != nil {
		t.Fatal(err)
	}
	if err := Try(second); !errors.Is(err, ErrHeld) {
		t.Errorf("who was sent the lock has not got it: %v", err)
	}
	held.Close()
	if err := Try(second); err != nil {
		t.Errorf("somebody has the lock yet: %v", err)
	}
	if _, err := Receive(here); err != io.EOF {
		t.Errorf("from an end that is closed came %v", err)
	}
}

func TestBytesAreClaimedForAnother(t *testing.T) {
	bytes, err := os.Create(filepath.Join(t.TempDir(), "bytes"))
	if err != nil {
		t.Fatal(err)
	}
	defer bytes.Close()
	here, there, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	type end struct {
		file *os.File
		err  error
	}
	ended := make(chan end)
	go func() {
		file, err := Serve(here, bytes)
		ended <- end{file, err}
	}()
	for _, shared := range []bool{true, false} {
		if holder, err := Ask(int(there.Fd()), 1<<40, shared); holder != 0 || err != nil {
			t.Errorf("asked for a byte that is free, it answers %d, %v", holder, err)
		}
	}
	if _, err := Ask(int(there.Fd()), -1, false); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("asked for a byte that cannot be, it answers %v", err)
	}
	if err := Send(there, bytes); err != nil {
		t.Fatal(err)
	}
	if e := <-ended; e.file == nil || e.err != nil {
		t.Errorf("it ends with %v, %v", e.file, e.err)
	} else {
		e.file.Close()
	}
	there.Close()
	if _, err := Serve(here, bytes); err != io.EOF {
		t.Errorf("it ends with %v when nobody asks any more", err)
	}
	if got := answerOf(7, ErrHeld); got[0] != 1 || got[1] != 7 {
		t.Errorf("a byte that 7 has is answered with %v", got)
	}
}
