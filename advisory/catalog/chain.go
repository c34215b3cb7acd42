package catalog

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"
)

// Extended key usages.
const (
	usageAny       = "2.5.29.37.0"
	usageCode      = "1.3.6.1.5.5.7.3.3"
	usageStamp     = "1.3.6.1.5.5.7.3.8"
	usageComponent = "1.3.6.1.4.1.311.10.3.6"  // a component of Windows itself
	usageLifetime  = "1.3.6.1.4.1.311.10.3.13" // nothing is proved after the certificate has expired, stamp or not
)

// maxChain is the most certificates of a chain, maxChecks the most signatures checked in search of one.
const (
	maxChain  = 8
	maxChecks = 64
)

// search looks for a chain from a certificate to a trusted root.
type search struct {
	pool   []*x509.Certificate
	roots  Roots
	at     time.Time // when each certificate must be valid
	checks int
}

// chain is what a search has found: from the first certificate upwards, as far as it could be followed.
type chain struct {
	certs  []*x509.Certificate
	usages []string // those wanted that every certificate of the chain allows
	root   Root
	err    error // why it leads to no root; nil where it does
}

// find returns the best chain from cert of which every certificate allows one of the usages, which the first must name.
// Microsoft's roots are better than given ones; of those that lead nowhere the longest says why.
func (s *search) find(cert *x509.Certificate, usages ...string) chain {
	start := chain{certs: []*x509.Certificate{cert}, usages: usages}
	if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 {
		start.err = fmt.Errorf("the certificate of %s does not say that it is for %s", subject(cert), purpose(usages))
		return start
	}
	if signs := x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment; cert.KeyUsage != 0 && cert.KeyUsage&signs == 0 {
		start.err = fmt.Errorf("the key of %s is not for signing content", subject(cert))
		return start
	}
	found := s.extend(start)
	if found.err != nil && s.checks >= maxChecks {
		found.err = fmt.Errorf("of the certificates that could lead to a root only %d were looked at", maxChecks)
	}
	return found
}

// extend judges the last certificate of c and looks for its issuers.
func (s *search) extend(c chain) chain {
	last := c.certs[len(c.certs)-1]
	if c.err = s.judge(last); c.err != nil {
		return c
	}
	wanted := c.usages
	if c.usages = allowed(last, wanted); len(c.usages) == 0 {
		c.err = fmt.Errorf("the certificate of %s is not for %s", subject(last), purpose(wanted))
		return c
	}
	c.root = s.roots.kind(last)
	if c.root == RootMicrosoft {
		return c
	}
	if c.root == RootNone {
		c.err = s.missing(last)
	}
	best := c
	if len(c.certs) == maxChain || selfIssued(last) {
		return best
	}
	for _, issuer := range s.pool {
		if s.checks >= maxChecks {
			break
		}
		if bytes.Equal(issuer.RawSubject, last.RawIssuer) && !slices.ContainsFunc(c.certs, issuer.Equal) {
			best = better(best, s.through(c, issuer))
		}
	}
	return best
}

// through follows c to an issuer; an issuer that is not proved to be one is no part of the chain.
func (s *search) through(c chain, issuer *x509.Certificate) chain {
	c.root = RootNone
	s.checks++
	if c.err = s.issued(issuer, c.certs); c.err != nil {
		return c
	}
	c.certs = append(slices.Clone(c.certs), issuer)
	return s.extend(c)
}

// better returns the chain to the better root; of two that lead to none the longer one, or b, whose reason says more than that
// an issuer is not there.
func better(a, b chain) chain {
	if b.root > a.root || b.root == a.root && b.root == RootNone && len(b.certs) >= len(a.certs) {
		return b
	}
	return a
}

// selfIssued reports whether nobody stands above cert.
func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawIssuer, cert.RawSubject) }

// missing says why a chain ends at cert.
func (s *search) missing(cert *x509.Certificate) error {
	if selfIssued(cert) {
		return fmt.Errorf("%s is signed by itself and is no root that is trusted", subject(cert))
	}
	return fmt.Errorf("the certificate of «%s», who issued that of %s, is not there", nameOf(cert.Issuer), subject(cert))
}

// issued checks that issuer, a certificate that may, has signed the last of certs.
func (s *search) issued(issuer *x509.Certificate, certs []*x509.Certificate) error {
	cert := certs[len(certs)-1]
	anchor := s.roots.kind(issuer) != RootNone
	// Old roots have no constraints. What says that it is no authority is none, whoever trusts it.
	if issuer.BasicConstraintsValid && !issuer.IsCA || !issuer.BasicConstraintsValid && !anchor {
		return fmt.Errorf("%s, who issued the certificate of %s, is no certificate authority", subject(issuer), subject(cert))
	}
	if issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0 {
		return fmt.Errorf("the key of %s is not for signing certificates, as that of %s", subject(issuer), subject(cert))
	}
	if issuer.BasicConstraintsValid && issuer.MaxPathLen >= 0 && len(certs)-1 > issuer.MaxPathLen {
		return fmt.Errorf("%s allows fewer authorities below it", subject(issuer))
	}
	if err := checkSignature(issuer, cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return fmt.Errorf("the certificate of %s is not proved to be issued by %s: %w", subject(cert), subject(issuer), err)
	}
	return nil
}

// judge checks what a certificate says of itself.
func (s *search) judge(cert *x509.Certificate) error {
	nameConstraints := asn1.ObjectIdentifier{2, 5, 29, 30}
	switch {
	case s.at.Before(cert.NotBefore):
		return fmt.Errorf("the certificate of %s is not valid before %s, and is needed for %s",
			subject(cert), stamp(cert.NotBefore), stamp(s.at))
	case s.at.After(cert.NotAfter):
		return fmt.Errorf("the certificate of %s has expired on %s, and is needed for %s",
			subject(cert), stamp(cert.NotAfter), stamp(s.at))
	case len(cert.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("the certificate of %s has a critical extension that weir does not know (%s)",
			subject(cert), cert.UnhandledCriticalExtensions[0])
	}
	for _, extension := range cert.Extensions {
		if extension.Id.Equal(nameConstraints) {
			return fmt.Errorf("the certificate of %s constrains names, which weir does not check", subject(cert))
		}
	}
	return nil
}

// usagesOf are the extended key usages of a certificate, as far as chains ask for them.
func usagesOf(cert *x509.Certificate) []string {
	var all []string
	known := map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageAny:          usageAny,
		x509.ExtKeyUsageCodeSigning:  usageCode,
		x509.ExtKeyUsageTimeStamping: usageStamp,
	}
	for _, u := range cert.ExtKeyUsage {
		all = append(all, known[u])
	}
	for _, u := range cert.UnknownExtKeyUsage {
		all = append(all, u.String())
	}
	return all
}

// allowed returns those of the wanted usages that a certificate allows: all where it names none.
func allowed(cert *x509.Certificate, wanted []string) []string {
	has := usagesOf(cert)
	if len(has) == 0 || slices.Contains(has, usageAny) {
		return wanted
	}
	var both []string
	for _, u := range wanted {
		if slices.Contains(has, u) {
			both = append(both, u)
		}
	}
	return both
}

// purpose names usages.
func purpose(usages []string) string {
	if slices.Contains(usages, usageStamp) {
		return "stamping times"
	}
	return "signing code"
}

// subject is who a certificate is of, printable.
func subject(cert *x509.Certificate) string { return "«" + nameOf(cert.Subject) + "»" }

// stamp writes a time.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
