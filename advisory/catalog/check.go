package catalog

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// maxKeyBits bounds the RSA keys with which a signature is checked, and so the time that one takes.
const maxKeyBits = 16384

var errMD5 = errors.New("MD5, which proves nothing")

// digests are the hashes that signatures may be over, by their object identifiers.
func digests() map[string]crypto.Hash {
	return map[string]crypto.Hash{
		"1.3.14.3.2.26":          crypto.SHA1,
		"2.16.840.1.101.3.4.2.1": crypto.SHA256,
		"2.16.840.1.101.3.4.2.2": crypto.SHA384,
		"2.16.840.1.101.3.4.2.3": crypto.SHA512,
	}
}

// hashOf returns the hash of an object identifier.
func hashOf(oid string) (crypto.Hash, error) {
	if oid == "1.2.840.113549.2.5" {
		return 0, errMD5
	}
	h, ok := digests()[oid]
	if !ok {
		return 0, fmt.Errorf("a hash that weir does not know (%s)", oid)
	}
	return h, nil
}

// signatureOf returns the algorithm of a signature from the signer's hash and the object identifier of the signature, which may
// name the hash, too, and must then name the same.
func signatureOf(hash crypto.Hash, oid string) (x509.SignatureAlgorithm, error) {
	type pair struct{ rsa, ecdsa x509.SignatureAlgorithm }
	type names struct{ rsa, ecdsa string }
	algorithms := map[crypto.Hash]pair{
		crypto.SHA1:   {x509.SHA1WithRSA, x509.ECDSAWithSHA1},
		crypto.SHA256: {x509.SHA256WithRSA, x509.ECDSAWithSHA256},
		crypto.SHA384: {x509.SHA384WithRSA, x509.ECDSAWithSHA384},
		crypto.SHA512: {x509.SHA512WithRSA, x509.ECDSAWithSHA512},
	}
	combined := map[crypto.Hash]names{
		crypto.SHA1:   {"1.2.840.113549.1.1.5", "1.2.840.10045.4.1"},
		crypto.SHA256: {"1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2"},
		crypto.SHA384: {"1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"},
		crypto.SHA512: {"1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4"},
	}
	switch oid {
	case "1.2.840.113549.1.1.1", combined[hash].rsa:
		return algorithms[hash].rsa, nil
	case "1.2.840.10045.2.1", combined[hash].ecdsa:
		return algorithms[hash].ecdsa, nil
	case "1.2.840.113549.1.1.4":
		return 0, errMD5
	}
	return 0, fmt.Errorf("a signature that weir does not know (%s)", oid)
}

// check says whether the holder of cert has signed content as being of that type. The signed attributes must be there: without
// them a signature over one kind of thing can be shown as one over another.
func (s *signer) check(contentType string, content []byte, cert *x509.Certificate) error {
	hash, err := hashOf(s.digest)
	if err != nil {
		return fmt.Errorf("it is signed with %w", err)
	}
	algorithm, err := signatureOf(hash, s.algorithm)
	if err != nil {
		return fmt.Errorf("it is signed with %w", err)
	}
	if s.signedTLV == nil {
		return errors.New("the signer has signed no attributes")
	}
	kind, err := s.signedAttr.only(oidContentType)
	if err != nil {
		return fmt.Errorf("the type of the content is not signed: %w", err)
	}
	r := &reader{data: kind.full}
	if got := r.oid(); r.err != nil || got != contentType {
		return fmt.Errorf("what is signed is of another type than %s", contentType)
	}
	digest, err := s.signedAttr.only(oidMessageDigest)
	if err != nil {
		return fmt.Errorf("the hash of the content is not signed: %w", err)
	}
	sum := hash.New()
	sum.Write(content)
	if !digest.is(universal, tagOctets) || !bytes.Equal(sum.Sum(nil), digest.content) {
		return errors.New("the content is not what was signed: its hash is another")
	}
	return checkSignature(cert, algorithm, s.signedTLV, s.signature)
}

// checkSignature checks one signature with the key of by.
func checkSignature(by *x509.Certificate, algorithm x509.SignatureAlgorithm, data, signature []byte) error {
	if algorithm == x509.MD5WithRSA || algorithm == x509.MD2WithRSA {
		return fmt.Errorf("it is signed with %w", errMD5)
	}
	if key, ok := by.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxKeyBits {
		return fmt.Errorf("the key has more than %d bits", maxKeyBits)
	}
	if err := by.CheckSignature(algorithm, data, signature); err != nil {
		return fmt.Errorf("the signature is not of that key: %w", err)
	}
	return nil
}

// claimedTime is the time that the signer says, if it says one.
func (s *signer) claimedTime() (time.Time, bool) {
	v, err := s.signedAttr.only(oidSigningTime)
	if err != nil {
		return time.Time{}, false
	}
	r := &reader{data: v.full}
	t := r.time()
	return t, r.err == nil
}
