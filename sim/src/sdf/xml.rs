//! A strict reader over an XML element: whatever is not asked for is an error that names file, line and element.

use super::LoadError;
use roxmltree::Node;
use std::path::Path;
use std::str::FromStr;

/// Namespace of our own elements.
pub const OMNI: &str = "https://omnimind.dev/sdf/1";

/// An element and the file it stands in.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    node: Node<'a, 'a>,
    file: &'a Path,
}

impl<'a> Element<'a> {
    /// Wraps `node` of `file`.
    pub fn new(node: Node<'a, 'a>, file: &'a Path) -> Self {
        Self { node, file }
    }

    /// Qualified name: `omni:look` for our own namespace, the plain name for SDF's.
    pub fn name(&self) -> String {
        qualified(self.node)
    }

    /// File it stands in.
    pub fn file(&self) -> &'a Path {
        self.file
    }

    /// Line it begins in, from 1.
    pub fn line(&self) -> u32 {
        self.node.document().text_pos_at(self.node.range().start).row
    }

    /// Checks that only these attributes and child elements are here.
    pub fn only(&self, attributes: &[&str], children: &[&str]) -> Result<(), LoadError> {
        for a in self.node.attributes() {
            if a.namespace().is_some() || !attributes.contains(&a.name()) {
                return Err(LoadError::UnknownAttribute {
                    file: self.file.to_owned(),
                    line: self.line(),
                    element: self.name(),
                    attribute: a.name().to_owned(),
                });
            }
        }
        for n in self.node.children() {
            if n.is_element() {
                let name = qualified(n);
                if !children.contains(&name.as_str()) {
                    let child = Element::new(n, self.file);
                    return Err(LoadError::UnknownElement {
                        file: self.file.to_owned(),
                        line: child.line(),
                        element: name,
                        parent: self.name(),
                    });
                }
            } else if n.is_text() && !children.is_empty() && !n.text().unwrap_or("").trim().is_empty() {
                return Err(self.bad(n.text().unwrap_or("").trim(), "child elements, not text"));
            }
        }
        Ok(())
    }

    /// Child elements in order.
    pub fn children(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let file = self.file;
        self.node.children().filter(|n| n.is_element()).map(move |n| Element::new(n, file))
    }

    /// Child elements of this qualified name.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Element<'a>> + use<'a, 'n> {
        self.children().filter(move |e| e.name() == name)
    }

    /// The child of this name, if there is one; more than one is an error.
    pub fn optional(&self, name: &str) -> Result<Option<Element<'a>>, LoadError> {
        let mut all = self.all(name);
        let first = all.next();
        if let Some(second) = all.next() {
            return Err(LoadError::Duplicate {
                file: self.file.to_owned(),
                line: second.line(),
                what: format!("<{name}> in <{}>", self.name()),
            });
        }
        Ok(first)
    }

    /// The child of this name, which must be there.
    pub fn required(&self, name: &str) -> Result<Element<'a>, LoadError> {
        self.optional(name)?.ok_or_else(|| LoadError::Missing {
            file: self.file.to_owned(),
            line: self.line(),
            element: self.name(),
            what: format!("<{name}>"),
        })
    }

    /// The trimmed text.
    pub fn text(&self) -> &'a str {
        self.node.text().unwrap_or("").trim()
    }

    /// An attribute, if it is there.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.node.attribute(name)
    }

    /// An attribute that must be there and not be empty.
    pub fn required_attribute(&self, name: &str) -> Result<&'a str, LoadError> {
        self.attribute(name).filter(|v| !v.trim().is_empty()).ok_or_else(|| LoadError::Missing {
            file: self.file.to_owned(),
            line: self.line(),
            element: self.name(),
            what: format!("attribute {name}"),
        })
    }

    /// An attribute as a finite number.
    pub fn number_attribute(&self, name: &str) -> Result<f64, LoadError> {
        let text = self.required_attribute(name)?;
        finite(text).ok_or_else(|| self.bad(text, "a finite number"))
    }

    /// An attribute as `N` finite numbers.
    pub fn numbers_attribute<const N: usize>(&self, name: &str) -> Result<[f64; N], LoadError> {
        let text = self.required_attribute(name)?;
        array(text).ok_or_else(|| self.bad(text, &format!("{N} finite numbers")))
    }

    /// The text as a finite number.
    pub fn number(&self) -> Result<f64, LoadError> {
        self.only(self.allowed_pose_attributes(), &[])?;
        finite(self.text()).ok_or_else(|| self.bad(self.text(), "a finite number"))
    }

    /// The text as a number above zero.
    pub fn positive(&self) -> Result<f64, LoadError> {
        let v = self.number()?;
        if v > 0.0 { Ok(v) } else { Err(self.bad(self.text(), "a number above zero")) }
    }

    /// The text as a whole number above zero.
    pub fn count(&self) -> Result<usize, LoadError> {
        usize::from_str(self.text()).ok().filter(|n| *n > 0).ok_or_else(|| self.bad(self.text(), "a whole number above zero"))
    }

    /// The text as `true`, `false`, `1` or `0`.
    pub fn boolean(&self) -> Result<bool, LoadError> {
        match self.text() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(self.bad(other, "true or false")),
        }
    }

    /// The text as `N` finite numbers.
    pub fn numbers<const N: usize>(&self) -> Result<[f64; N], LoadError> {
        self.only(self.allowed_pose_attributes(), &[])?;
        array(self.text()).ok_or_else(|| self.bad(self.text(), &format!("{N} finite numbers")))
    }

    /// The number in a child, or `default` where the child is absent.
    pub fn number_or(&self, child: &str, default: f64) -> Result<f64, LoadError> {
        self.optional(child)?.map_or(Ok(default), |e| e.number())
    }

    /// An error about a value of this element.
    pub fn bad(&self, text: &str, expected: &str) -> LoadError {
        LoadError::BadValue {
            file: self.file.to_owned(),
            line: self.line(),
            element: self.name(),
            text: text.to_owned(),
            expected: expected.to_owned(),
        }
    }

    // Only a pose says in whose frame it is; every other leaf takes no attribute.
    fn allowed_pose_attributes(&self) -> &'static [&'static str] {
        if self.node.tag_name().name() == "pose" { &["relative_to"] } else { &[] }
    }
}

fn qualified(node: Node<'_, '_>) -> String {
    match node.tag_name().namespace() {
        Some(OMNI) => format!("omni:{}", node.tag_name().name()),
        Some(other) => format!("{{{other}}}{}", node.tag_name().name()),
        None => node.tag_name().name().to_owned(),
    }
}

fn finite(text: &str) -> Option<f64> {
    f64::from_str(text.trim()).ok().filter(|v| v.is_finite())
}

fn array<const N: usize>(text: &str) -> Option<[f64; N]> {
    let mut out = [0.0; N];
    let mut words = text.split_whitespace();
    for slot in &mut out {
        *slot = finite(words.next()?)?;
    }
    words.next().is_none().then_some(out)
}
