package catalog

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/weirfs/weir"
)

// MaxSize is the largest catalog that is read, in bytes. The largest of Windows Server 2008 has less than 1 MiB.
const MaxSize = 16 << 20

// Catalog is what a catalog says. It proves nothing before Verify says so.
type Catalog struct {
	Made    time.Time // when the list was made, as it says itself (thisUpdate)
	Members []Member  // in the order of the list
	Unread  int       // entries that are no member: without a hash of SHA-1 or SHA-256, or with two that differ

	signed *signed
}

// Member is one file of a catalog.
type Member struct {
	Algorithm crypto.Hash `json:"algorithm"` // crypto.SHA1 or crypto.SHA256
	Hash      []byte      `json:"hash"`      // the Authenticode hash of an executable, the hash of any other file
	File      string      `json:"file"`      // the name that the maker of the catalog gave it; printable, may be empty
	OS        string      `json:"os"`        // for which systems, as in "2:6.0"; printable, may be empty
}

// Parse reads a catalog, which may have indefinite lengths and octet strings in pieces, as old ones have. Members share memory
// with nothing of the caller's. The error is a weir.Error of KindRefused.
func Parse(ber []byte) (*Catalog, error) {
	c, err := parse(ber)
	if err != nil {
		return nil, &weir.Error{Op: "read catalog", Kind: weir.KindRefused, Err: err}
	}
	return c, nil
}

func parse(ber []byte) (*Catalog, error) {
	if len(ber) > MaxSize {
		return nil, fmt.Errorf("it has more than %d bytes", MaxSize)
	}
	der, rest, err := toDER(ber)
	if err != nil {
		return nil, err
	}
	if len(bytes.Trim(rest, "\x00")) > 0 {
		return nil, errors.New("something follows the signed data")
	}
	s, err := readSigned(der)
	if err != nil {
		return nil, err
	}
	if s.contentType != oidTrustList {
		return nil, fmt.Errorf("what is signed is of type %s and no list of files", s.contentType)
	}
	c := &Catalog{signed: s}
	return c, c.readList(s.content)
}

// Find returns the member with that hash.
func (c *Catalog) Find(algorithm crypto.Hash, hash []byte) (Member, bool) {
	for _, m := range c.Members {
		if m.Algorithm == algorithm && bytes.Equal(m.Hash, hash) {
			return m, true
		}
	}
	return Member{}, false
}
