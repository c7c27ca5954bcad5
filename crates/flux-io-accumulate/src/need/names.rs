//! The names of a requirement, in the order of first mention.

use crate::require::{Part, RequireError, Rule, UpTo};
use std::collections::{BTreeMap, BTreeSet};

/// Every variable and bound in the order of first mention.
#[derive(Default)]
pub(super) struct Names {
    pub(super) parts: Vec<Part>,
    at: BTreeMap<String, usize>,
    pub(super) bounds: Vec<String>,
}

impl Names {
    pub(super) fn collect(&mut self, rule: &Rule) -> Result<(), RequireError> {
        let own: Vec<&Part> = match rule {
            Rule::And(rules) | Rule::Or(rules) if !rules.is_empty() => {
                return rules.iter().try_for_each(|r| self.collect(r));
            }
            Rule::And(_) | Rule::Or(_) => Vec::new(),
            Rule::CountFrom(bound) => {
                self.bound(bound);
                return Ok(());
            }
            Rule::Count(_) => return Ok(()),
            Rule::Checked(own) if own.is_empty() => return Ok(()),
            Rule::All(own) | Rule::Any(own) | Rule::KOfN(_, own) | Rule::Checked(own) => {
                own.iter().collect()
            }
            Rule::Weighted(_, own) => own.iter().map(|(p, _)| p).collect(),
        };
        if own.is_empty() {
            return Err(RequireError::Empty { rule: rule.to_string() });
        }
        let mut names = BTreeSet::new();
        for part in own {
            if !names.insert(part.name.as_str()) {
                let name = part.name.clone();
                return Err(RequireError::Twice { rule: rule.to_string(), name });
            }
            self.part(part)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Result<(), RequireError> {
        if let Some(UpTo::Declared(bound)) = &part.each {
            self.bound(bound);
        }
        match self.at.get(&part.name).map(|i| &self.parts[*i]) {
            None => {
                self.at.insert(part.name.clone(), self.parts.len());
                self.parts.push(part.clone());
                Ok(())
            }
            Some(before) if before == part => Ok(()),
            Some(before) => {
                let (first, second) = (before.to_string(), part.to_string());
                Err(RequireError::TwoForms { name: part.name.clone(), first, second })
            }
        }
    }

    fn bound(&mut self, bound: &str) {
        if !self.bounds.iter().any(|b| b == bound) {
            self.bounds.push(bound.to_owned());
        }
    }
}
