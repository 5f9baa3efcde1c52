//! Which topics and services may cross.

use regex::Regex;

/// Names that may cross: those that match an allowing pattern (all, if there is none) and no denying one. A pattern must match the whole name.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    allow: Vec<Regex>,
    deny: Vec<Regex>,
}

/// A pattern is no regular expression.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{pattern}` is not a regular expression: {reason}")]
pub struct FilterError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Filter {
    /// From regular expressions such as `/camera/.*`.
    ///
    /// # Errors
    /// [`FilterError`] names the first that is none.
    pub fn new(allow: &[String], deny: &[String]) -> Result<Self, FilterError> {
        let compile = |pattern: &String| {
            Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                // The last line says what is wrong; those before it draw the expression.
                let reason = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
                FilterError { pattern: pattern.clone(), reason }
            })
        };
        let all = |patterns: &[String]| patterns.iter().map(compile).collect::<Result<Vec<_>, _>>();
        Ok(Self { allow: all(allow)?, deny: all(deny)? })
    }

    /// Whether a topic, service or action of this name may cross. The inner topics and services of an action go by the action's name.
    #[must_use]
    pub fn passes(&self, name: &str) -> bool {
        let name = name.split_once("/_action/").map_or(name, |(action, _)| action);
        let any = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(name));
        (self.allow.is_empty() || any(&self.allow)) && !any(&self.deny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(allow: &[&str], deny: &[&str]) -> Result<Filter, FilterError> {
        let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(allow), &owned(deny))
    }

    #[test]
    fn a_pattern_matches_whole_names_and_denying_wins() {
        let all = filter(&[], &[]).expect("empty");
        assert!(all.passes("/anything"));
        let some = filter(&["/camera/.*", "/scan|/tf"], &["/camera/depth.*"]).expect("valid");
        for (name, passes) in
            [("/camera/image_raw", true), ("/camera/depth/image", false), ("/scan", true), ("/scan2", false), ("/my/tf", false)]
        {
            assert_eq!(some.passes(name), passes, "{name}");
        }
    }

    #[test]
    fn an_action_goes_by_its_name() {
        let some = filter(&["/move"], &[]).expect("valid");
        assert!(
            some.passes("/move/_action/send_goal")
                && some.passes("/move/_action/feedback")
                && !some.passes("/push/_action/status")
        );
    }

    #[test]
    fn what_is_no_expression_is_refused_by_name() {
        let error = filter(&["/a(b"], &[]).expect_err("refused");
        assert!(error.to_string().contains("/a(b"), "{error}");
    }
}
