package catalog

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// maxStamps is how many stamps of one signature are looked at.
const maxStamps = 4

// Stamp is somebody's word that a signature was there at a time.
type Stamp struct {
	Time  time.Time `json:"time,omitzero"` // in UTC; zero where none is said
	By    string    `json:"by"`            // the subject of the stamp's certificate, printable
	Chain []Link    `json:"chain"`         // from that certificate upwards
	Root  Root      `json:"root"`          // RootNone: the time is only claimed
}

// stamps judges the countersignatures (PKCS #9) and time stamps (RFC 3161) of a signature. It returns the first that is proved,
// or the first and why none is. One of a time that is still to come proves nothing.
func (c *Catalog) stamps(s *signer, roots Roots, now time.Time) (first Stamp, reasons []string) {
	type reading func(value, *signer, Roots) (Stamp, error)
	count := 0
	for _, kind := range []struct {
		name string
		oid  string
		read reading
	}{
		{"countersignature", oidCountersigned, c.countersignature},
		{"time stamp", oidStampToken, c.token},
	} {
		for _, v := range s.unsigned[kind.oid] {
			if count++; count > maxStamps {
				return first, append(reasons, fmt.Sprintf("only %d of its stamps were looked at", maxStamps))
			}
			read, err := kind.read(v, s, roots)
			if err == nil && read.Time.After(now) {
				read.Root, err = RootNone, fmt.Errorf("that is still to come, by the clock of this machine (%s)", stamp(now))
			}
			if err == nil {
				return read, nil
			}
			if count == 1 {
				first = read
			}
			reasons = append(reasons, fmt.Sprintf("the time of signing%s is only claimed, by a %s: %v", on(read.Time), kind.name, err))
		}
	}
	return first, reasons
}

// on writes a time for the middle of a sentence, if there is one.
func on(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (" + stamp(t) + ")"
}

// countersignature judges a SignerInfo whose content is the signature of s.
func (c *Catalog) countersignature(v value, s *signer, roots Roots) (Stamp, error) {
	r := &reader{data: v.full}
	counter := readSigner(r)
	if r.err != nil {
		return Stamp{}, r.err
	}
	said, ok := counter.claimedTime()
	if !ok {
		return Stamp{}, errors.New("it says no time")
	}
	return proveStamp(Stamp{Time: said}, &counter, oidData, s.signature, c.signed.certs, roots)
}

// token judges a ContentInfo whose content is a TSTInfo about the signature of s.
func (c *Catalog) token(v value, s *signer, roots Roots) (Stamp, error) {
	t, err := readSigned(v.full)
	if err != nil {
		return Stamp{}, err
	}
	if t.contentType != oidTSTInfo || len(t.signers) != 1 {
		return Stamp{}, errors.New("it is no time stamp with one signer")
	}
	said, err := readTSTInfo(t.content, s.signature)
	if err != nil {
		return Stamp{Time: said}, err
	}
	return proveStamp(Stamp{Time: said}, &t.signers[0], oidTSTInfo, t.content, append(t.certs, c.signed.certs...), roots)
}

// readTSTInfo returns the time of a TSTInfo and checks that it is about that signature:
//
//	version, policy, message imprint, serial number, time, and what does not matter here
func readTSTInfo(content, signature []byte) (time.Time, error) {
	outer := &reader{data: content}
	info := outer.sequence()
	info.take(universal, tagInteger)
	info.oid()
	imprint := info.sequence()
	id := imprint.algorithm()
	sum := imprint.take(universal, tagOctets).content
	info.join(imprint)
	info.take(universal, tagInteger)
	said := info.time()
	if info.err != nil {
		return time.Time{}, info.err
	}
	hash, err := hashOf(id)
	if err != nil {
		return said, fmt.Errorf("it is made with %w", err)
	}
	h := hash.New()
	h.Write(signature)
	if !bytes.Equal(h.Sum(nil), sum) {
		return said, errors.New("it is about another signature")
	}
	return said, nil
}

// proveStamp checks that s has signed the stamp, and that its certificate led to a root at that very time.
func proveStamp(st Stamp, s *signer, contentType string, content []byte, certs []*x509.Certificate, roots Roots) (Stamp, error) {
	pool := slices.Concat(certs, roots.given)
	cert := s.certificate(pool)
	if cert == nil {
		return st, errors.New("the certificate of who made it is not there")
	}
	st.By = nameOf(cert.Subject)
	if err := s.check(contentType, content, cert); err != nil {
		return st, err
	}
	look := &search{pool: pool, roots: roots, at: st.Time}
	found := look.find(cert, usageStamp)
	st.Chain = links(found.certs)
	if found.err != nil {
		return st, found.err
	}
	st.Root = found.root
	return st, nil
}
