package catalog

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/wintest"
)

func TestTimeIsOnlyClaimedWhereStampIsNotProved(t *testing.T) {
	w := theWorld()
	late := signingTime.AddDate(2, 0, 0)
	notForStamps := wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Not for stamps", w.keys[2], &w.ca)
	stranger := wintest.Issue(leaf(x509.ExtKeyUsageTimeStamping), "Stranger", w.keys[0], nil)
	ofAnother := func(make func(wintest.Identity, time.Time) func([]byte) []byte) func([]byte) []byte {
		return func(signature []byte) []byte {
			other := bytes.Clone(signature)
			other[0] ^= 1
			return make(w.stamper, signingTime)(other)
		}
	}
	for name, fault := range map[string]struct {
		stamp  func([]byte) []byte
		reason string
	}{
		"countersignature of a signer for code": {wintest.Countersignature(notForStamps, signingTime),
			"a countersignature: the certificate of «CN=Not for stamps,O=Weir Tests» is not for stamping"},
		"token of a signer for code":         {token(notForStamps, signingTime), "is not for stamping times"},
		"countersignature of a stranger":     {wintest.Countersignature(stranger, signingTime), "no root that is trusted"},
		"token of a stranger":                {token(stranger, signingTime), "no root that is trusted"},
		"countersignature of something else": {ofAnother(wintest.Countersignature), "the content is not what was signed"},
		"token of something else":            {ofAnother(token), "it is about another signature"},
		"countersignature without a time":    {wintest.Countersignature(w.stamper, time.Time{}), "it says no time"},
		"token without its certificate": {wintest.TimeStamp(wintest.Issue(leaf(x509.ExtKeyUsageTimeStamping), "Absent", w.keys[0], &w.ca), signingTime),
			"the certificate of who made it is not there"},
		"countersignature after the expiry": {wintest.Countersignature(w.stamper, late),
			"has expired on 2010-12-01 00:00:00, and is needed for 2011-11-25"},
		"token before the certificates": {token(w.stamper, signingTime.AddDate(-3, 0, 0)), "is not valid before"},
		"token with a time that is none": {changed(token(w.stamper, signingTime), []byte("20091125"), []byte("20\xff\x7f1125")),
			`a time is written as "20\xff\x7f1125120000Z"`},
		"something that is no token": {func([]byte) []byte {
			return wintest.DER(0x30, wintest.DEROID(oidStampToken), wintest.DER(0x31, wintest.DER(0x05)))
		}, "by a time stamp: "},
	} {
		t.Run(name, func(t *testing.T) {
			der := list(2).Sign([]wintest.Identity{w.leaf, w.ca, w.stamper, notForStamps, stranger},
				wintest.Signing{By: w.leaf, Time: signingTime, Stamps: []func([]byte) []byte{fault.stamp}})
			expectUnproved(t, der, given(t, w.root), fault.reason)
			p := proofOf(t, der, given(t, w.root))
			if !p.Claimed.Equal(signingTime) || !p.Intact {
				t.Errorf("%+v", p)
			}
			expectPrintable(t, p)
		})
	}
}

// changed stamps with something in the stamp replaced.
func changed(stamp func([]byte) []byte, from, to []byte) func([]byte) []byte {
	return func(signature []byte) []byte { return bytes.ReplaceAll(stamp(signature), from, to) }
}

func TestValidSignerNeedsNoStamp(t *testing.T) {
	w := theWorld()
	der := list(1).Sign([]wintest.Identity{w.lasting, w.ca}, wintest.Signing{By: w.lasting})
	if p := proofOf(t, der, given(t, w.root)); !p.Proved() || !p.At.Equal(today) || !p.Stamp.Time.IsZero() || !p.Claimed.IsZero() {
		t.Errorf("%+v", p)
	}
}

func TestLifetimeSignerIsProvedByNoStamp(t *testing.T) {
	w := theWorld()
	template := expiring(x509.ExtKeyUsageCodeSigning)
	template.UnknownExtKeyUsage = append(template.UnknownExtKeyUsage, []int{1, 3, 6, 1, 4, 1, 311, 10, 3, 13})
	expectUnproved(t, stamped(list(1), wintest.Issue(template, "Brief", w.keys[2], &w.ca), token), given(t, w.root), "has expired")
}

// TestStampOfTheFutureProvesNothing has certificates that are valid then, too.
func TestStampOfTheFutureProvesNothing(t *testing.T) {
	w := theWorld()
	for name, stamp := range map[string]func(wintest.Identity, time.Time) func([]byte) []byte{"token": token, "countersignature": wintest.Countersignature} {
		at := today.Add(time.Hour)
		der := list(1).Sign([]wintest.Identity{w.lasting, w.ca, w.stamper}, wintest.Signing{By: w.lasting, Stamps: []func([]byte) []byte{stamp(w.stamper, at)}})
		expectUnproved(t, der, given(t, w.root), "is still to come, by the clock of this machine (2026-03-01 00:00:00")
		c, err := Parse(der)
		if err != nil {
			t.Fatal(err)
		}
		if p := c.Verify(given(t, w.root), at); !p.Proved() || !p.At.Equal(at) {
			t.Errorf("%s, later: %+v", name, p)
		}
	}
}

func TestFirstOfSeveralStampsThatIsProvedCounts(t *testing.T) {
	w := theWorld()
	stranger := wintest.Issue(leaf(x509.ExtKeyUsageTimeStamping), "Stranger", w.keys[0], nil)
	bad, good := token(stranger, signingTime.Add(time.Hour)), token(w.stamper, signingTime)
	certs := []wintest.Identity{w.leaf, w.ca, w.stamper}
	der := list(1).Sign(certs, wintest.Signing{By: w.leaf, Stamps: []func([]byte) []byte{bad, good}})
	if p := proofOf(t, der, given(t, w.root)); !p.Proved() || !p.At.Equal(signingTime) {
		t.Errorf("%+v", p)
	}
	der = list(1).Sign(certs, wintest.Signing{By: w.leaf, Stamps: []func([]byte) []byte{bad, bad, bad, bad, good}})
	expectUnproved(t, der, given(t, w.root), "only 4 of its stamps were looked at")
}
