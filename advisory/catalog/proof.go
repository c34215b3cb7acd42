package catalog

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Proof is what a catalog proves, and what it does not.
type Proof struct {
	Signer    string    `json:"signer"`           // the subject of the signer's certificate, printable; empty where that is not there
	Intact    bool      `json:"intact"`           // the list is what the holder of that certificate has signed
	Component bool      `json:"component"`        // the chain is proved for components of Windows itself, and not only for code
	Chain     []Link    `json:"chain"`            // from the signer's certificate upwards, as far as it could be followed
	Root      Root      `json:"root"`             // where the chain leads; RootGiven, too, where the time of signing rests on a given root
	Stamp     Stamp     `json:"stamp,omitzero"`   // the stamp that proves the time of signing, or claims it; zero where there is none
	Claimed   time.Time `json:"claimed,omitzero"` // the time of signing as the signer says it; proves nothing
	At        time.Time `json:"at,omitzero"`      // the time at which the certificates were held to be valid: that of the stamp, or now
	Unproved  []string  `json:"unproved"`         // what is not proved, each with its reason; printable
}

// Link is one certificate of a chain.
type Link struct {
	Subject     string    `json:"subject"`   // printable
	Algorithm   string    `json:"algorithm"` // how it is signed, as crypto/x509 names it
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	Fingerprint string    `json:"fingerprint"` // SHA-256, in hexadecimal digits
}

// Proved reports whether everything is proved. To whom the chain leads is in Root.
func (p *Proof) Proved() bool { return len(p.Unproved) == 0 && p.Root != RootNone }

// unproved notes what is not proved.
func (p *Proof) unproved(format string, args ...any) {
	p.Unproved = append(p.Unproved, clean(fmt.Sprintf(format, args...)))
}

// Verify judges the catalog: whether the list is what was signed, by whom, to which root the signer's certificate leads, and
// when. Certificates must be valid when the signature was made, if a stamp proves the time, and otherwise now.
func (c *Catalog) Verify(roots Roots, now time.Time) Proof {
	p := Proof{At: now.UTC(), Chain: []Link{}, Unproved: []string{}}
	if len(c.signed.signers) == 0 {
		p.unproved("the catalog is not signed")
		return p
	}
	if n := len(c.signed.signers); n > 1 {
		p.unproved("the catalog has %d signers where one belongs; only the first was looked at", n)
	}
	s := &c.signed.signers[0]
	p.Claimed, _ = s.claimedTime()
	pool := slices.Concat(c.signed.certs, roots.given)
	cert := s.certificate(pool)
	if cert == nil {
		p.unproved("the signer's certificate is not in the catalog%s", c.odd())
		return p
	}
	p.Signer = nameOf(cert.Subject)
	err := s.check(oidTrustList, c.signed.content, cert)
	if p.Intact = err == nil; !p.Intact {
		p.unproved("the list is not proved to be what was signed: %v", err)
	}
	var reasons []string
	p.Stamp, reasons = c.stamps(s, roots, now)
	for _, reason := range reasons {
		p.unproved("%s", reason)
	}
	c.proveChain(&p, cert, pool, roots)
	return p
}

// proveChain follows the signer's certificate to a root, at the time that the stamp has proved.
func (c *Catalog) proveChain(p *Proof, cert *x509.Certificate, pool []*x509.Certificate, roots Roots) {
	stamped := p.Stamp.Root != RootNone
	if stamped && !slices.Contains(usagesOf(cert), usageLifetime) {
		p.At = p.Stamp.Time
	}
	look := &search{pool: pool, roots: roots, at: p.At}
	found := look.find(cert, usageCode, usageComponent)
	p.Chain = links(found.certs)
	if found.err != nil {
		p.unproved("the signer is not proved: %v%s", found.err, c.odd())
		return
	}
	p.Root = found.root
	if stamped {
		p.Root = min(p.Root, p.Stamp.Root)
	}
	p.Component = slices.Contains(found.usages, usageComponent) && slices.Contains(usagesOf(cert), usageComponent)
}

// odd says that certificates could not be read, if so.
func (c *Catalog) odd() string {
	if c.signed.oddCerts == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d certificates in the catalog could not be read)", c.signed.oddCerts)
}

// links describes certificates.
func links(certs []*x509.Certificate) []Link {
	all := make([]Link, 0, len(certs))
	for _, cert := range certs {
		all = append(all, Link{
			Subject:     nameOf(cert.Subject),
			Algorithm:   cert.SignatureAlgorithm.String(),
			NotBefore:   cert.NotBefore.UTC(),
			NotAfter:    cert.NotAfter.UTC(),
			Fingerprint: fmt.Sprintf("%x", sha256.Sum256(cert.Raw)),
		})
	}
	return all
}
