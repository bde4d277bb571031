//! Rows of UCI Adult: what a request carries, and the test split that the player replays.
//!
//! Source: Becker, B. and Kohavi, R. (1996), Adult, UCI Machine Learning Repository,
//! doi:10.24432/C5XW20, CC BY 4.0. `tests/workload/data/README.md` says what was changed.

use serde::{Deserialize, Serialize};

/// The test split as committed; `train/train.py` writes it.
const TEST_SPLIT: &str = include_str!("../data/adult-test.csv");

/// Order of the columns in the file.
const HEADER: &str = "age,workclass,education_num,marital_status,occupation,relationship,race,sex,\
                      capital_gain,capital_loss,hours_per_week,native_country,income_above_50k";

/// Name of the last column.
const LABEL: &str = "income_above_50k";

/// Features of one person, the body of a prediction request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// Age in years.
    pub age: u32,
    /// Class of employer.
    pub workclass: String,
    /// Level of education, 1 to 16.
    pub education_num: u32,
    /// Marital status.
    pub marital_status: String,
    /// Occupation.
    pub occupation: String,
    /// Place in the household.
    pub relationship: String,
    /// Race, as the census recorded it.
    pub race: String,
    /// Sex, as the census recorded it; the group of the fairness counters.
    pub sex: String,
    /// Capital gain of the year in dollars.
    pub capital_gain: u32,
    /// Capital loss of the year in dollars.
    pub capital_loss: u32,
    /// Hours of work a week.
    pub hours_per_week: u32,
    /// Country of origin.
    pub native_country: String,
}

/// A numeric feature. The variants stand in the order of their names: a sum over them then has one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Numeric {
    /// [`Features::age`].
    Age,
    /// [`Features::capital_gain`].
    CapitalGain,
    /// [`Features::capital_loss`].
    CapitalLoss,
    /// [`Features::education_num`].
    EducationNum,
    /// [`Features::hours_per_week`].
    HoursPerWeek,
}

/// A categorical feature, in the order of the names as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Categorical {
    /// [`Features::marital_status`].
    MaritalStatus,
    /// [`Features::native_country`].
    NativeCountry,
    /// [`Features::occupation`].
    Occupation,
    /// [`Features::race`].
    Race,
    /// [`Features::relationship`].
    Relationship,
    /// [`Features::sex`].
    Sex,
    /// [`Features::workclass`].
    Workclass,
}

impl Features {
    /// Value of a numeric feature.
    #[must_use]
    pub fn number(&self, feature: Numeric) -> f64 {
        f64::from(match feature {
            Numeric::Age => self.age,
            Numeric::CapitalGain => self.capital_gain,
            Numeric::CapitalLoss => self.capital_loss,
            Numeric::EducationNum => self.education_num,
            Numeric::HoursPerWeek => self.hours_per_week,
        })
    }

    /// Value of a categorical feature.
    #[must_use]
    pub fn category(&self, feature: Categorical) -> &str {
        match feature {
            Categorical::MaritalStatus => &self.marital_status,
            Categorical::NativeCountry => &self.native_country,
            Categorical::Occupation => &self.occupation,
            Categorical::Race => &self.race,
            Categorical::Relationship => &self.relationship,
            Categorical::Sex => &self.sex,
            Categorical::Workclass => &self.workclass,
        }
    }
}

/// One row of the test split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What a request asks with.
    pub features: Features,
    /// Whether the person's income was above 50,000 dollars a year.
    pub label: bool,
}

/// Why a data file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The line that names the columns is missing or names others.
    #[error("line {line}: expected the columns {HEADER}")]
    Columns {
        /// Line number, from 1.
        line: usize,
    },
    /// A row has too few or too many cells, or a cell cannot be read.
    #[error("line {line}: cell {column}: {reason}")]
    Cell {
        /// Line number, from 1.
        line: usize,
        /// Name of the column.
        column: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The test split that is part of this crate.
///
/// # Errors
/// [`DataError`] when the committed file is damaged.
pub fn test_split() -> Result<Vec<Row>, DataError> {
    parse(TEST_SPLIT)
}

/// Reads the compact form that `train/train.py` writes: lines `#column=a|b|c` list the categories of a
/// column, then the columns are named, then each row follows with categories by index.
///
/// # Errors
/// [`DataError`] with line and column of the first fault.
pub fn parse(text: &str) -> Result<Vec<Row>, DataError> {
    let mut categories: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    loop {
        let (number, line) = lines.next().unwrap_or((0, ""));
        match line.strip_prefix('#') {
            Some(head) => {
                if let Some((column, values)) = head.split_once('=') {
                    categories.push((column, values.split('|').collect()));
                }
            }
            None if line == HEADER => break,
            None => return Err(DataError::Columns { line: number }),
        }
    }
    lines
        .map(|(number, line)| parse_row(number, line, &categories))
        .collect()
}

fn parse_row(line: usize, text: &str, categories: &[(&str, Vec<&str>)]) -> Result<Row, DataError> {
    let fault = |column, reason| DataError::Cell { line, column, reason };
    let mut cells = text.split(',');
    let mut number = |column: &'static str| {
        let cell = cells.next().unwrap_or_default();
        cell.parse::<u32>().map_err(|_| fault(column, "not a number"))
    };
    let category = |column: &'static str, index: u32| {
        let (_, values) = categories.iter().find(|(name, _)| *name == column)?;
        values
            .get(usize::try_from(index).ok()?)
            .map(|value| (*value).to_owned())
    };
    let category = |column: &'static str, index: u32| category(column, index).ok_or(fault(column, "no such category"));
    // Cells are taken in the order of HEADER.
    let features = Features {
        age: number("age")?,
        workclass: category("workclass", number("workclass")?)?,
        education_num: number("education_num")?,
        marital_status: category("marital_status", number("marital_status")?)?,
        occupation: category("occupation", number("occupation")?)?,
        relationship: category("relationship", number("relationship")?)?,
        race: category("race", number("race")?)?,
        sex: category("sex", number("sex")?)?,
        capital_gain: number("capital_gain")?,
        capital_loss: number("capital_loss")?,
        hours_per_week: number("hours_per_week")?,
        native_country: category("native_country", number("native_country")?)?,
    };
    let label = match number(LABEL)? {
        0 => false,
        1 => true,
        _ => return Err(fault(LABEL, "neither 0 nor 1")),
    };
    match cells.next() {
        None => Ok(Row { features, label }),
        Some(_) => Err(fault(LABEL, "followed by further cells")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_split_is_whole() {
        let rows = test_split().unwrap();
        assert_eq!(rows.len(), 16_281);
        assert_eq!(rows.iter().filter(|row| row.label).count(), 3_846);
        let first = &rows[0].features;
        assert_eq!((first.age, first.hours_per_week), (25, 40));
        assert_eq!((first.race.as_str(), first.sex.as_str()), ("Black", "Male"));
        assert_eq!(first.native_country, "United-States");
    }

    #[test]
    fn damage_is_named_by_line_and_column() {
        let head =
            "#workclass=a|b\n#marital_status=m\n#occupation=o\n#relationship=r\n#race=x\n#sex=f\n#native_country=n";
        let file = |row: &str| format!("{head}\n{HEADER}\n{row}\n");
        assert_eq!(
            parse(&file("1,1,2,0,0,0,0,0,0,0,9,0,1")).unwrap()[0].features.workclass,
            "b"
        );
        for (row, message) in [
            ("1,2,2,0,0,0,0,0,0,0,9,0,1", "line 9: cell workclass: no such category"),
            ("1,1,-2,0,0,0,0,0,0,0,9,0,1", "line 9: cell education_num: not a number"),
            ("1,1,2,0,0,0,0,0,0,0,9,0", "line 9: cell income_above_50k: not a number"),
            (
                "1,1,2,0,0,0,0,0,0,0,9,0,2",
                "line 9: cell income_above_50k: neither 0 nor 1",
            ),
            (
                "1,1,2,0,0,0,0,0,0,0,9,0,1,1",
                "line 9: cell income_above_50k: followed by further cells",
            ),
        ] {
            assert_eq!(parse(&file(row)).unwrap_err().to_string(), message);
        }
        assert!(matches!(parse("").unwrap_err(), DataError::Columns { line: 0 }));
        assert!(matches!(
            parse("age,sex\n1,2").unwrap_err(),
            DataError::Columns { line: 1 }
        ));
    }
}
