package offline

import (
	"crypto"
	"encoding/hex"

	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/image"
)

// Summed is a file of the system with what catalogs list of it.
type Summed struct {
	Path    string `json:"path"` // below the volume, as the names are there
	SHA1    Digest `json:"sha1,omitempty"`
	SHA256  Digest `json:"sha256,omitempty"`
	Problem string `json:"problem,omitempty"` // why it has no sums
}

// Digest is a hash, which texts have in hexadecimal digits.
type Digest []byte

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d), nil }

// Sum returns the Authenticode hashes of the files of an advisory that are there. The error is that of Gather.
func Sum(root string, a *advisory.Advisory) (sums []Summed, err error) {
	err = within(root, a, func(g *gathering) {
		for _, installed := range a.Paths() {
			if s, there := g.sum(installed); there {
				sums = append(sums, s)
			}
		}
	})
	return sums, err
}

func (g *gathering) sum(installed string) (s Summed, there bool) {
	f, b := g.found(installed, installed)
	if f.Problem == errAbsent.Error() {
		return s, false
	}
	s.Path, s.Problem = f.Path, f.Problem
	if b == nil {
		return s, true
	}
	s.Problem = "" // A file without a version may be listed all the same.
	for h, to := range map[crypto.Hash]*Digest{crypto.SHA1: &s.SHA1, crypto.SHA256: &s.SHA256} {
		sum, err := image.Authenticode(b, h)
		if err != nil {
			return Summed{Path: f.Path, Problem: err.Error()}, true
		}
		*to = sum
	}
	return s, true
}
