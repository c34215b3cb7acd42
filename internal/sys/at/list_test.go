package at

import (
	"strings"
	"testing"
)

// FuzzEntries: whatever the kernel, or a FUSE server behind it, answers, no byte outside of the answer is read
// and no name is one that it cannot be.
func FuzzEntries(f *testing.F) {
	entry := func(name string, typ byte) []byte {
		buf := make([]byte, (direntName+len(name)+1+7)&^7)
		buf[direntLength] = byte(len(buf))
		buf[direntType] = typ
		copy(buf[direntName:], name)
		return buf
	}
	f.Add(append(append(entry(".", 4), entry("file", 8)...), entry("\xff", 4)...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, buf []byte) {
		entries, err := parse(buf, nil)
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Name == "" || e.Name == "." || e.Name == ".." || strings.Contains(e.Name, "\x00") {
				t.Errorf("name %q", e.Name)
			}
		}
	})
}
