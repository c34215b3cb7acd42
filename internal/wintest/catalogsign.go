package wintest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"time"
)

// Identity is a certificate with its key.
type Identity struct {
	Cert *x509.Certificate
	Key  *rsa.PrivateKey
}

// Issue returns an identity whose certificate is made from the template, with key, and signed by issuer; by itself where that
// is nil. The template's serial number, subject and times may be missing.
func Issue(template x509.Certificate, name string, key *rsa.PrivateKey, issuer *Identity) Identity {
	if template.Subject.CommonName == "" {
		template.Subject = pkix.Name{CommonName: name, Organization: []string{"Weir Tests"}}
	}
	if template.SerialNumber == nil {
		template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Date(2039, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	parent, by := &template, key
	if issuer != nil {
		parent, by = issuer.Cert, issuer.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, by)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return Identity{Cert: cert, Key: key}
}

// Signing is one signature over a content.
type Signing struct {
	By          Identity
	Hash        crypto.Hash // crypto.SHA256 if it is zero
	ContentType string      // that of a list of files if it is empty
	Time        time.Time   // what the signer claims; nothing if it is zero
	NoAttrs     bool        // nothing is signed but the content itself
	NamesCert   bool        // the signer's certificate is signed, too, by its SHA-1, as time stamps must have it (RFC 2634)
	Stamps      []func(signature []byte) []byte
}

// SignerInfo returns the signature over the content's bytes, without its header.
func (s *Signing) SignerInfo(content []byte) []byte {
	hash, kind := s.Hash, s.ContentType
	if hash == 0 {
		hash = crypto.SHA256
	}
	if kind == "" {
		kind = "1.3.6.1.4.1.311.10.1"
	}
	attr := [][]byte{
		attribute("1.2.840.113549.1.9.3", DEROID(kind)),
		attribute("1.2.840.113549.1.9.4", DER(0x04, sumOf(hash, content))),
	}
	if !s.Time.IsZero() {
		attr = append(attr, attribute("1.2.840.113549.1.9.5", DERTime(s.Time)))
	}
	if s.NamesCert {
		id := DER(0x30, DER(0x04, sumOf(crypto.SHA1, s.By.Cert.Raw)))
		attr = append(attr, attribute("1.2.840.113549.1.9.16.2.12", DER(0x30, DER(0x30, id))))
	}
	slices.SortFunc(attr, bytes.Compare)
	signedBytes := DER(0x31, attr...)
	if s.NoAttrs {
		signedBytes, attr = content, nil
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.By.Key, hash, sumOf(hash, signedBytes))
	if err != nil {
		panic(err)
	}
	parts := [][]byte{
		DER(0x02, []byte{1}),
		DER(0x30, s.By.Cert.RawIssuer, mustMarshal(s.By.Cert.SerialNumber)),
		algorithmOf(hash.Size()),
	}
	if attr != nil {
		parts = append(parts, DER(0xa0, attr...))
	}
	parts = append(parts, DER(0x30, DEROID("1.2.840.113549.1.1.1"), DER(0x05)), DER(0x04, signature))
	var stamps [][]byte
	for _, stamp := range s.Stamps {
		stamps = append(stamps, stamp(signature))
	}
	if stamps != nil {
		parts = append(parts, DER(0xa1, stamps...))
	}
	return DER(0x30, parts...)
}

// Sign returns the catalog with those certificates and signatures.
func (c *Catalog) Sign(certs []Identity, signings ...Signing) []byte {
	list := c.List()
	var signers [][]byte
	for _, s := range signings {
		signers = append(signers, s.SignerInfo(Content(list)))
	}
	return SignedData("1.3.6.1.4.1.311.10.1", list, [][]byte{algorithmOf(32)}, raw(certs), signers)
}

// Content returns what a value holds, without its header.
func Content(der []byte) []byte {
	if der[1] < 0x80 {
		return der[2:]
	}
	return der[2+int(der[1]&0x7f):]
}

// raw returns the encodings of certificates.
func raw(certs []Identity) [][]byte {
	all := [][]byte{}
	for _, c := range certs {
		all = append(all, c.Cert.Raw)
	}
	return all
}

// Countersignature stamps a signature as PKCS #9 does.
func Countersignature(by Identity, at time.Time) func([]byte) []byte {
	return func(signature []byte) []byte {
		s := Signing{By: by, Hash: crypto.SHA1, ContentType: "1.2.840.113549.1.7.1", Time: at}
		return attribute("1.2.840.113549.1.9.6", s.SignerInfo(signature))
	}
}

// TimeStamp stamps a signature as RFC 3161 does.
func TimeStamp(by Identity, at time.Time, certs ...Identity) func([]byte) []byte {
	return func(signature []byte) []byte {
		const kind = "1.2.840.113549.1.9.16.1.4"
		info := DER(0x30,
			DER(0x02, []byte{1}), DEROID("1.3.6.1.4.1.601.10.3.1"),
			DER(0x30, algorithmOf(32), DER(0x04, sumOf(crypto.SHA256, signature))),
			DER(0x02, []byte{7}), DER(0x18, []byte(at.UTC().Format("20060102150405Z"))))
		s := Signing{By: by, ContentType: kind, NamesCert: true}
		token := SignedData(kind, DER(0x04, info), [][]byte{algorithmOf(32)}, raw(certs), [][]byte{s.SignerInfo(info)})
		return attribute("1.3.6.1.4.1.311.3.3.1", token)
	}
}

func sumOf(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}
