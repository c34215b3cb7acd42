package handle

import (
	"testing"
)

func FuzzDecode(f *testing.F) {
	f.Add("\x01\x00\x00\x00abcdefgh")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := decode(s)
		if err != nil {
			return
		}
		if back, err := h.encode(); err != nil || back != s {
			t.Errorf("%q became %q, %v", s, back, err)
		}
	})
}
