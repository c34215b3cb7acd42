package catalog

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/wintest"
)

func TestSignedAndStampedCatalogIsProved(t *testing.T) {
	w := theWorld()
	for name, stamp := range map[string]func(wintest.Identity, time.Time) func([]byte) []byte{
		"countersignature": wintest.Countersignature, "time stamp": token,
	} {
		for version := 1; version <= 2; version++ {
			for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
				s := wintest.Signing{By: w.leaf, Hash: hash, Stamps: []func([]byte) []byte{stamp(w.stamper, signingTime)}}
				p := proofOf(t, list(version).Sign([]wintest.Identity{w.leaf, w.ca, w.stamper}, s), given(t, w.root))
				if !p.Proved() || !p.Intact || p.Root != RootGiven || !p.At.Equal(signingTime) || !p.Stamp.Time.Equal(signingTime) ||
					p.Stamp.Root != RootGiven || len(p.Chain) != 3 || len(p.Stamp.Chain) != 3 || p.Component ||
					!strings.Contains(p.Signer, "Test Publisher") || !strings.Contains(p.Stamp.By, "Test Stamper") {
					t.Errorf("%s, version %d, %s: %+v", name, version, hash, p)
				}
			}
		}
	}
}

func TestOnlyPinnedRootReadsAsMicrosofts(t *testing.T) {
	w := theWorld()
	der := stamped(list(1), w.component, token)
	withRoot := list(1).Sign([]wintest.Identity{w.component, w.ca, w.root},
		wintest.Signing{By: w.component, Stamps: []func([]byte) []byte{token(w.stamper, signingTime)}})
	if p := proofOf(t, withRoot, pinned(w.root)); !p.Proved() || p.Root != RootMicrosoft || !p.Component {
		t.Errorf("the root's bytes in the catalog: %+v", p)
	}
	both := pinned(w.root)
	both.given = given(t, w.root).given
	if p := proofOf(t, der, both); !p.Proved() || p.Root != RootMicrosoft {
		t.Errorf("the root's bytes given: %+v", p)
	}
	if p := proofOf(t, der, pinned(w.root)); p.Proved() || p.Root != RootNone {
		t.Errorf("no bytes of the root: %+v", p)
	}
	if p := proofOf(t, withRoot, Roots{}); p.Proved() || p.Root != RootNone {
		t.Errorf("a root that nobody trusts: %+v", p)
	}
	both = pinned(w.root)
	both.given = given(t, w.ca).given
	if p := proofOf(t, withRoot, both); p.Root != RootMicrosoft {
		t.Errorf("an intermediate is given, and the pinned root is in the catalog: %+v", p)
	}
}

func TestStampThatLeadsToGivenRootKeepsProofFromReadingAsMicrosofts(t *testing.T) {
	w := theWorld()
	other := wintest.Issue(authority(), "Other Root", w.keys[1], nil)
	stamper := wintest.Issue(leaf(x509.ExtKeyUsageTimeStamping), "Other Stamper", w.keys[2], &other)
	roots := pinned(w.root)
	roots.given = append(given(t, other).given, w.root.Cert)
	der := list(1).Sign([]wintest.Identity{w.leaf, w.ca, stamper},
		wintest.Signing{By: w.leaf, Stamps: []func([]byte) []byte{wintest.Countersignature(stamper, signingTime)}})
	if p := proofOf(t, der, roots); !p.Proved() || p.Root != RootGiven || p.Stamp.Root != RootGiven {
		t.Errorf("%+v", p)
	}
}

func TestMicrosoftsNameAloneProvesNothing(t *testing.T) {
	w := theWorld()
	name := pkix.Name{CommonName: "Microsoft Root Certificate Authority 2010", Organization: []string{"Microsoft Corporation"}}
	template := leaf(x509.ExtKeyUsageCodeSigning)
	template.Subject = name
	selfSigned := wintest.Issue(template, "", w.keys[2], nil)
	der := list(2).Sign([]wintest.Identity{selfSigned}, wintest.Signing{By: selfSigned})
	expectUnproved(t, der, Roots{}, "signed by itself and is no root that is trusted")
	if p := proofOf(t, der, given(t, selfSigned)); !p.Proved() || p.Root != RootGiven {
		t.Errorf("given: %+v", p)
	}
}

func TestEveryPlantedFaultIsUnprovedWithItsReason(t *testing.T) {
	w := theWorld()
	roots := given(t, w.root)
	all := func(more ...wintest.Identity) []wintest.Identity { return append(more, w.leaf, w.ca, w.stamper) }
	good := stamped(list(1), w.leaf, token)
	stamp := []func([]byte) []byte{token(w.stamper, signingTime)}
	wrongUsage := wintest.Issue(leaf(x509.ExtKeyUsageServerAuth), "Server", w.keys[2], &w.ca)
	noUsage := leaf(x509.ExtKeyUsageCodeSigning)
	noUsage.ExtKeyUsage = nil
	silent := wintest.Issue(noUsage, "Silent", w.keys[2], &w.ca)
	locking := leaf(x509.ExtKeyUsageCodeSigning)
	locking.KeyUsage = x509.KeyUsageKeyEncipherment
	locker := wintest.Issue(locking, "Locker", w.keys[2], &w.ca)
	underLeaf := wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Under a leaf", w.keys[0], &w.leaf)
	noSigner := authority()
	noSigner.KeyUsage = x509.KeyUsageDigitalSignature
	weakCA := wintest.Issue(noSigner, "Authority that may not sign", w.keys[1], &w.root)
	underWeak := wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Under it", w.keys[2], &weakCA)
	none := authority()
	none.MaxPathLenZero = true
	shortCA := wintest.Issue(none, "Short", w.keys[1], &w.root)
	belowShort := wintest.Issue(authority(), "Below short", w.keys[0], &shortCA)
	leafBelow := wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Far below", w.keys[2], &belowShort)
	narrow := authority()
	narrow.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}
	narrowCA := wintest.Issue(narrow, "Authority of stamps", w.keys[1], &w.root)
	underNarrow := wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Under narrow", w.keys[2], &narrowCA)
	fakeRoot := wintest.Issue(authority(), "Test Root", w.keys[2], nil)
	fakeCA := wintest.Issue(authority(), "Fake Intermediate", w.keys[1], &fakeRoot)
	underFake := wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Under fake", w.keys[2], &fakeCA)
	constrained := authority()
	constrained.PermittedDNSDomains = []string{"example.org"}
	namedCA := wintest.Issue(constrained, "Constrained", w.keys[1], &w.root)
	underNamed := wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Under constrained", w.keys[2], &namedCA)
	otherKind := wintest.Signing{By: w.leaf, ContentType: "1.2.840.113549.1.7.1", Stamps: stamp}

	by := func(id wintest.Identity, certs ...wintest.Identity) []byte {
		return list(1).Sign(certs, wintest.Signing{By: id})
	}

	for name, fault := range map[string]struct {
		der    []byte
		reason string
	}{
		"a changed member": {bytes.Replace(good, sum(32), bytes.Repeat([]byte{1}, 32), 1), "not what was signed"},
		"a changed date": {bytes.Replace(good, wintest.DERTime(list(1).Made), wintest.DERTime(today), 1),
			"not what was signed"},
		"a changed signature":      {flipLast(good, w), "the signature is not of that key"},
		"a wrong usage":            {by(wrongUsage, all(wrongUsage)...), "is not for signing code"},
		"a key for something else": {by(locker, all(locker)...), "is not for signing content"},
		"no usage":                 {by(silent, all(silent)...), "does not say that it is for signing code"},
		"an authority of other usage": {by(underNarrow, all(underNarrow, narrowCA)...),
			"«CN=Authority of stamps,O=Weir Tests» is not for signing code"},
		"an expired leaf, no stamp":    {list(1).Sign(all(), wintest.Signing{By: w.leaf, Time: signingTime}), "has expired on 2010-12-01"},
		"a missing intermediate":       {by(w.lasting, w.lasting), "the certificate of «CN=Test Intermediate,O=Weir Tests»"},
		"a missing leaf":               {by(w.leaf, w.ca), "the signer's certificate is not in the catalog"},
		"the root's name, another key": {by(underFake, underFake, fakeCA), "the signature is not of that key"},
		"the same, with that root":     {by(underFake, underFake, fakeCA, fakeRoot), "is no root that is trusted"},
		"a leaf as an authority": {list(1).Sign(all(underLeaf), wintest.Signing{By: underLeaf, Stamps: stamp}),
			"is no certificate authority"},
		"an authority that may not": {by(underWeak, all(underWeak, weakCA)...), "is not for signing certificates"},
		"too many authorities":      {by(leafBelow, all(leafBelow, belowShort, shortCA)...), "allows fewer authorities"},
		"name constraints":          {by(underNamed, all(underNamed, namedCA)...), "constrains names"},
		"two signers": {list(1).Sign(all(w.lasting), wintest.Signing{By: w.lasting}, wintest.Signing{By: w.lasting}),
			"2 signers"},
		"no signer":            {list(1).Unsigned(), "not signed"},
		"another content type": {list(1).Sign(all(), otherKind), "of another type"},
		"no signed attributes": {list(1).Sign(all(), wintest.Signing{By: w.leaf, NoAttrs: true, Stamps: stamp}),
			"signed no attributes"},
		"MD5": {list(1).Sign(all(), wintest.Signing{By: w.leaf, Hash: crypto.MD5, Stamps: stamp}),
			"MD5, which proves nothing"},
		"an authority signed with MD5": {by(w.lasting, w.lasting, withMD5(t, w.ca, w.root)), "MD5, which proves nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			if bytes.Equal(fault.der, good) {
				t.Fatal("the fault is not planted")
			}
			expectUnproved(t, fault.der, roots, fault.reason)
		})
	}
	if p := proofOf(t, good, roots); !p.Proved() {
		t.Errorf("without a fault: %q", p.Unproved)
	}
}

func expectUnproved(t *testing.T, der []byte, roots Roots, reason string) {
	t.Helper()
	if p := proofOf(t, der, roots); p.Proved() || !strings.Contains(strings.Join(p.Unproved, "; "), reason) {
		t.Errorf("%+v, want the reason %q", p, reason)
	}
}

// flipLast changes a byte of the signature itself, which stands before the token.
func flipLast(der []byte, w *world) []byte {
	c, _ := Parse(der)
	changed := bytes.Clone(c.signed.signers[0].signature)
	changed[len(changed)-1] ^= 1
	return bytes.Replace(der, c.signed.signers[0].signature, changed, 1)
}

// withMD5 is the certificate of id, signed once more, with MD5.
func withMD5(t *testing.T, id, issuer wintest.Identity) wintest.Identity {
	t.Helper()
	sha1, md5 := wintest.DEROID("1.2.840.113549.1.1.5"), wintest.DEROID("1.2.840.113549.1.1.4")
	tbs := bytes.Replace(id.Cert.RawTBSCertificate, sha1, md5, 1)
	hash := crypto.MD5.New()
	hash.Write(tbs)
	signature, err := rsa.SignPKCS1v15(rand.Reader, issuer.Key, crypto.MD5, hash.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	der := wintest.DER(0x30, tbs, wintest.DER(0x30, md5, wintest.DER(0x05)), wintest.DER(0x03, []byte{0}, signature))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return wintest.Identity{Cert: cert, Key: id.Key}
}
