package catalog

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
)

// Object identifiers of PKCS #7 and #9, and of what Authenticode adds.
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidTSTInfo       = "1.2.840.113549.1.9.16.1.4"
	oidContentType   = "1.2.840.113549.1.9.3"
	oidMessageDigest = "1.2.840.113549.1.9.4"
	oidSigningTime   = "1.2.840.113549.1.9.5"
	oidCountersigned = "1.2.840.113549.1.9.6"
	oidStampToken    = "1.3.6.1.4.1.311.3.3.1"
	oidTrustList     = "1.3.6.1.4.1.311.10.1"
)

// What one signed thing may carry: real ones have fewer than ten certificates, one signer, and about five values of attributes,
// as every member of a list has.
const (
	maxCertificates = 64
	maxSigners      = 16
	maxValues       = 256
)

// signed is a SignedData: content, who is said to have signed it, and the certificates that came with it.
type signed struct {
	contentType string
	content     []byte // the bytes that are signed: what the content's value holds, without its header
	certs       []*x509.Certificate
	oddCerts    int // certificates that crypto/x509 does not read
	signers     []signer
}

// signer is a SignerInfo.
type signer struct {
	issuer     []byte // the name in its encoding; nil where keyID names the certificate
	serial     *big.Int
	keyID      []byte
	digest     string
	signedTLV  []byte // the signed attributes as a SET, which is what the signature is over
	signedAttr attributes
	algorithm  string
	signature  []byte
	unsigned   attributes
}

// attributes are the values of attributes by the type, in their order.
type attributes map[string][]value

// readSigned reads a ContentInfo with a SignedData. It must be in the distinguished encoding, as toDER makes it.
func readSigned(der []byte) (*signed, error) {
	outer := &reader{data: der}
	info := outer.sequence()
	if kind := info.oid(); info.err == nil && kind != oidSignedData {
		return nil, fmt.Errorf("it is of type %s and not signed data", kind)
	}
	data := info.within(info.take(context, 0)).sequence()
	data.take(universal, tagInteger)
	data.take(universal, tagSet) // digest algorithms; each signer names its own
	s := &signed{}
	s.readContent(data)
	if certs, ok := data.optional(context, 0); ok {
		s.readCertificates(data, certs)
	}
	data.optional(context, 1) // revocation lists
	set := data.within(data.take(universal, tagSet))
	for set.more() && len(s.signers) <= maxSigners {
		s.signers = append(s.signers, readSigner(set))
	}
	data.join(set)
	if data.err == nil && len(s.signers) > maxSigners {
		data.err = fmt.Errorf("it has more than %d signers", maxSigners)
	}
	return s, data.err
}

// readContent reads the type of the content and the content.
func (s *signed) readContent(data *reader) {
	info := data.sequence()
	s.contentType = info.oid()
	if v, ok := info.optional(context, 0); ok {
		inner := info.within(v)
		s.content = inner.any().content
		info.join(inner)
	}
	data.join(info)
}

// readCertificates reads the certificates that it can, and counts the others.
func (s *signed) readCertificates(data *reader, v value) {
	set := data.within(v)
	for set.more() {
		one := set.any()
		if len(s.certs)+s.oddCerts == maxCertificates {
			set.err = fmt.Errorf("it has more than %d certificates", maxCertificates)
			break
		}
		cert, err := x509.ParseCertificate(one.full)
		if err != nil {
			s.oddCerts++
			continue
		}
		s.certs = append(s.certs, cert)
	}
	data.join(set)
}

// readSigner takes a SignerInfo.
func readSigner(r *reader) signer {
	var s signer
	info := r.sequence()
	info.take(universal, tagInteger)
	if id, ok := info.optional(context, 0); ok {
		s.keyID = id.content
	} else {
		name := info.sequence()
		s.issuer = name.take(universal, tagSequence).full
		s.serial = serialOf(name.take(universal, tagInteger).content)
		info.join(name)
	}
	s.digest = info.algorithm()
	if v, ok := info.optional(context, 0); ok {
		s.signedTLV = bytes.Clone(v.full)
		s.signedTLV[0] = 0x20 | tagSet
		s.signedAttr = readAttributes(info, v)
	}
	s.algorithm = info.algorithm()
	s.signature = info.take(universal, tagOctets).content
	if v, ok := info.optional(context, 1); ok {
		s.unsigned = readAttributes(info, v)
	}
	r.join(info)
	return s
}

// serialOf is the number that the content of an INTEGER is.
func serialOf(content []byte) *big.Int {
	n := new(big.Int)
	if len(content) > 64 { // crypto/x509 reads 20 and a few more
		return n
	}
	n.SetBytes(content)
	if len(content) > 0 && content[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(content))*8))
	}
	return n
}

// readAttributes reads the attributes that v holds.
func readAttributes(r *reader, v value) attributes {
	all := attributes{}
	count := 0
	list := r.within(v)
	for list.more() {
		attribute := list.sequence()
		kind := attribute.oid()
		values := attribute.within(attribute.take(universal, tagSet))
		for values.more() {
			if count++; count > maxValues {
				values.err = fmt.Errorf("there are more than %d values of attributes", maxValues)
				break
			}
			all[kind] = append(all[kind], values.any())
		}
		attribute.join(values)
		list.join(attribute)
	}
	r.join(list)
	return all
}

// only returns the one value that an attribute has.
func (a attributes) only(kind string) (value, error) {
	switch len(a[kind]) {
	case 0:
		return value{}, errors.New("it is missing")
	case 1:
		return a[kind][0], nil
	default:
		return value{}, errors.New("it has several values")
	}
}

// certificate finds the signer's certificate among certs.
func (s *signer) certificate(certs []*x509.Certificate) *x509.Certificate {
	for _, cert := range certs {
		byKey := s.keyID != nil && bytes.Equal(s.keyID, cert.SubjectKeyId)
		byName := s.serial != nil && bytes.Equal(s.issuer, cert.RawIssuer) && s.serial.Cmp(cert.SerialNumber) == 0
		if byKey || byName {
			return cert
		}
	}
	return nil
}
