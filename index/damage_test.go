package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir"
)

// makeIndex writes an index with records in tables and in the log, and returns every state it was in.
func makeIndex(t *testing.T, dir string) []*model {
	t.Helper()
	states := []*model{newModel()}
	for round := range 3 {
		db, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for half := range 2 {
			m, b := states[len(states)-1].clone(), db.Replica(1).NewBatch()
			for i, key := range modelKeys {
				names := []Name{entry("A", fmt.Sprint(i, round, half)), entry("", fmt.Sprint(i))}
				b.Put(Node{Key: key, Gen: uint64(len(states)), Names: names})
				m.put(key, uint64(len(states)), names)
			}
			if err := b.Commit(true); err != nil {
				t.Fatal(err)
			}
			states = append(states, m)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return states
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// readAll opens the index and finds the state that it is in.
func readAll(dir string, states []*model) error {
	db, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(states) {
		if err = m.agreeReplica(db.Replica(1)); err == nil || errors.Is(err, ErrDamaged) {
			break
		}
	}
	if closed := db.Close(); err == nil && !errors.Is(closed, ErrDamaged) {
		err = closed
	}
	return err
}

// TestEveryByteFlipped flips bytes of every file, one at a time: the index reads as it was after some
// commit, as a whole, or it is damaged, or its version is unknown; it never reads as something else, and
// never panics.
func TestEveryByteFlipped(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	states := makeIndex(t, whole)
	files, err := os.ReadDir(filepath.Join(whole, engineName))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			t.Parallel()
			flipBytes(t, whole, file.Name(), states)
		})
	}
}

func flipBytes(t *testing.T, whole, name string, states []*model) {
	hurt := filepath.Join(t.TempDir(), "hurt")
	content, err := os.ReadFile(filepath.Join(whole, engineName, name))
	if err != nil {
		t.Fatal(err)
	}
	const places = 20
	for i := 0; i < len(content); i += max(1, len(content)/places) {
		copyDir(t, whole, hurt)
		flipped := slices.Clone(content)
		flipped[i] ^= 1 << (i % 8)
		if err := os.WriteFile(filepath.Join(hurt, engineName, name), flipped, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := readAll(hurt, states); err != nil && !errors.Is(err, ErrDamaged) && weir.KindOf(err) != weir.KindRefused {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

// TestEveryFileMissing removes files, one at a time: it reads as it was or is damaged.
func TestEveryFileMissing(t *testing.T) {
	base := t.TempDir()
	whole, hurt := filepath.Join(base, "whole"), filepath.Join(base, "hurt")
	states := makeIndex(t, whole)
	files, err := os.ReadDir(filepath.Join(whole, engineName))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, remove := range []bool{true, false} {
			copyDir(t, whole, hurt)
			path := filepath.Join(hurt, engineName, file.Name())
			if remove {
				err = os.Remove(path)
			} else {
				err = os.Truncate(path, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := readAll(hurt, states); err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s, removed %v: %v", file.Name(), remove, err)
			}
		}
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	makeIndex(t, dir)
	path := filepath.Join(dir, engineName, formatName)
	if text, err := os.ReadFile(path); string(text) != "weir index 1 d2779e01\n" || err != nil {
		t.Fatalf("%q %v", text, err)
	}
	if err := os.WriteFile(path, []byte(formatLine(2)), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, Options{})
	if weir.KindOf(err) != weir.KindRefused || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "format 2") {
		t.Fatal(err)
	}
}

func TestOpenTellsDiskFromDamage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "file", "index"), Options{}); err == nil || errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
}

// TestFileInTheIndexsPlace has a file where a directory of the index was.
func TestFileInTheIndexsPlace(t *testing.T) {
	for _, name := range []string{"", engineName} {
		dir := filepath.Join(t.TempDir(), "index")
		makeIndex(t, dir)
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestDamagedRecord: a record that cannot be decoded is damage for whoever reads it.
func TestDamagedRecord(t *testing.T) {
	db := openMemory(t)
	r := db.Replica(1)
	if err := db.engine.Set(space(1).node("A"), []byte{9}, nil); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Get("A")
	_, err2 := r.Sample(1)
	err3 := r.Nodes("", func(Node) (bool, error) { return true, nil })
	b := r.NewBatch()
	b.Put(Node{Key: "A"})
	for _, err := range []error{err, err2, err3, b.Err(), b.Commit(true)} {
		if !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	}
}
