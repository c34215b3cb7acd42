// Package catalog reads signed security catalogs of Windows (.cat) and says what they prove: a catalog is a Certificate Trust
// List, a list of hashes of files, inside the SignedData of PKCS #7 (RFC 2315), signed as Authenticode signs.
//
// Parse reads, Catalog.Verify judges. Verify has no error: it returns a Proof, and what is not proved stands in Proof.Unproved,
// each with its reason; only a proof in which nothing stands there is one. Three things are kept apart that are easily taken for
// one: that the content is what was signed, that the signer's certificate leads to a root that is trusted, and when it was
// signed, without which a certificate that has expired since proves nothing.
//
// Roots are certificates that the caller gives and, by their SHA-256 fingerprints, four of Microsoft's. A chain that ends at a
// given root is said to do so and never reads as Microsoft's, whatever names its certificates have.
//
// What is not looked at: whether a certificate was revoked (there is no network here), nested signatures, and whether a
// time stamp names its certificate once more (RFC 2634). Microsoft's roots stand above the catalogs of other makers' drivers, too;
// Proof.Component tells apart the signer of Windows itself. SHA-1 counts as proof, as it did in 2009; Link.Algorithm shows it.
//
// SignedData is read and its signatures are checked here, and not by github.com/smallstep/pkcs7: that library recurses as deep as
// its input is nested, which ends the process and cannot be recovered from; it takes data that it could not read for empty, does
// not know countersignatures, and gives up the whole where one certificate is odd. What it would leave to be done is small: all
// arithmetic is that of crypto/x509.
//
// The package opens nothing and keeps nothing; its functions may be called from several goroutines. Input is hostile: its size,
// depth and number of elements are bounded by constants, and so are the signatures that one proof checks.
package catalog
