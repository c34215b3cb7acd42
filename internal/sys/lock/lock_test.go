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
