package catalog

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/weirfs/weir"
)

// Root says to whom a chain of certificates leads.
type Root uint8

const (
	// RootNone is a chain that leads to no root that is trusted.
	RootNone Root = iota
	// RootGiven is a root that the caller gave and that is none of Microsoft's.
	RootGiven
	// RootMicrosoft is one of Microsoft's own, known by its fingerprint.
	RootMicrosoft
)

// String returns the root's kind in one word.
func (r Root) String() string { return [...]string{"none", "given", "microsoft"}[r] }

// MarshalText implements encoding.TextMarshaler.
func (r Root) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// MaxRoots is how many bytes a file of roots may have.
const MaxRoots = 1 << 20

// Roots are the certificates that are trusted. Its zero value trusts the four of Microsoft's that weir knows by fingerprint;
// their bytes come from the catalog, which seldom has them, or from what is given.
type Roots struct {
	given     []*x509.Certificate
	microsoft map[fingerprint]string // instead of the real ones, in tests
}

// fingerprint is the SHA-256 of a certificate's encoding.
type fingerprint = [sha256.Size]byte

// microsoftRoots are the roots under which Microsoft signs code and its time stamps, with their names. Each value was compared
// with the SHA-256 of the certificate as the project signify distributes it, and with lists of at least one other project.
func microsoftRoots() map[fingerprint]string {
	return map[fingerprint]string{
		{
			0xf3, 0x84, 0x06, 0xe5, 0x40, 0xd7, 0xa9, 0xd9, 0x0c, 0xb4, 0xa9, 0x47, 0x92, 0x99, 0x64, 0x0f,
			0xfb, 0x6d, 0xf9, 0xe2, 0x24, 0xec, 0xc7, 0xa0, 0x1c, 0x0d, 0x95, 0x58, 0xd8, 0xda, 0xd7, 0x7d,
		}: "Microsoft Root Authority (1997)",
		{
			0x88, 0x5d, 0xe6, 0x4c, 0x34, 0x0e, 0x3e, 0xa7, 0x06, 0x58, 0xf0, 0x1e, 0x11, 0x45, 0xf9, 0x57,
			0xfc, 0xda, 0x27, 0xaa, 0xbe, 0xea, 0x1a, 0xb9, 0xfa, 0xa9, 0xfd, 0xb0, 0x10, 0x2d, 0x40, 0x77,
		}: "Microsoft Root Certificate Authority (2001)",
		{
			0xdf, 0x54, 0x5b, 0xf9, 0x19, 0xa2, 0x43, 0x9c, 0x36, 0x98, 0x3b, 0x54, 0xcd, 0xfc, 0x90, 0x3d,
			0xfa, 0x4f, 0x37, 0xd3, 0x99, 0x6d, 0x8d, 0x84, 0xb4, 0xc3, 0x1e, 0xec, 0x6f, 0x3c, 0x16, 0x3e,
		}: "Microsoft Root Certificate Authority 2010",
		{
			0x84, 0x7d, 0xf6, 0xa7, 0x84, 0x97, 0x94, 0x3f, 0x27, 0xfc, 0x72, 0xeb, 0x93, 0xf9, 0xa6, 0x37,
			0x32, 0x0a, 0x02, 0xb5, 0x61, 0xd0, 0xa9, 0x1b, 0x09, 0xe8, 0x7a, 0x78, 0x07, 0xed, 0x7c, 0x61,
		}: "Microsoft Root Certificate Authority 2011",
	}
}

// ReadRoots reads the certificates of a file, in PEM or one in DER, as roots beside Microsoft's. The error is a weir.Error of
// KindRefused.
func ReadRoots(file []byte) (Roots, error) {
	certs, err := readRoots(file)
	if err != nil {
		return Roots{}, &weir.Error{Op: "read roots", Kind: weir.KindRefused, Err: err,
			Hint: "the file must hold certificates, in PEM, or one in DER"}
	}
	return Roots{given: certs}, nil
}

func readRoots(file []byte) ([]*x509.Certificate, error) {
	if len(file) > MaxRoots {
		return nil, fmt.Errorf("it has more than %d bytes", MaxRoots)
	}
	if !bytes.Contains(file, []byte("-----BEGIN")) {
		cert, err := x509.ParseCertificate(file)
		return []*x509.Certificate{cert}, err
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if certs = append(certs, cert); len(certs) > maxCertificates {
			return nil, fmt.Errorf("it has more than %d certificates", maxCertificates)
		}
	}
	if len(certs) == 0 {
		return nil, errors.New("it has no certificate")
	}
	return certs, nil
}

// kind says what cert is to those who trust r.
func (r Roots) kind(cert *x509.Certificate) Root {
	pinned := r.microsoft
	if pinned == nil {
		pinned = microsoftRoots()
	}
	if _, ok := pinned[sha256.Sum256(cert.Raw)]; ok {
		return RootMicrosoft
	}
	for _, given := range r.given {
		if given.Equal(cert) {
			return RootGiven
		}
	}
	return RootNone
}
